"""`manage.py queue_drill`: a fire drill on the queue as it is configured."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.translation import gettext as _

from queueing.backends import get_backend
from queueing.drill import Drill, DrillImpossible, Result
from queueing.errors import BackendUnavailable
from queueing.progress import Progress
from queueing.service import QueueService


class Command(BaseCommand):
    help = (
        "Run harmless jobs on the configured queue, kill the worker that runs them several times, and freeze it once. "
        "Say what was lost, what was done twice, and how long it took until all ran again. Fails if anything was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jobs", type=int, default=300, help="how many jobs (default: 300)")
        parser.add_argument("--kills", type=int, default=3, help="how often the worker is killed (default: 3)")

    def handle(self, *args: Any, jobs: int, kills: int, **options: Any) -> None:
        if jobs < 1 or kills < 0:
            raise CommandError(_("A drill needs one job at least, and cannot kill less than never."))
        self._check()
        try:
            with Drill(jobs=jobs, kills=kills) as drill:
                progress = Progress(self.stdout, drill.jobs)
                for _moment in drill.run():
                    progress.show(
                        drill.done,
                        _("{done} of {jobs} jobs, killed {killed} times").format(
                            done=drill.done, jobs=drill.jobs, killed=drill.killed
                        ),
                    )
                result = drill.result()
        except (DrillImpossible, DatabaseError) as error:
            raise CommandError(_("The drill cannot go on: {error}").format(error=error)) from error
        progress.end()
        self._report(result)
        if not result.passed:
            sys.exit(1)

    def _check(self) -> None:
        try:
            QueueService.check()
        except BackendUnavailable as error:
            raise CommandError(_("The drill cannot start: {error}").format(error=error)) from error
        if not get_backend().runs_in_worker:
            raise CommandError(_("The drill cannot start: QUEUE_URL names a backend that has no worker."))

    def _report(self, result: Result) -> None:
        lines = (
            (_("Jobs"), str(result.jobs)),
            (_("Begun (more than once is no fault: that is a retry)"), str(result.executions)),
            (_("Lost"), str(result.lost)),
            (_("Completed twice"), str(result.duplicated)),
            (_("Jobs that a kill interrupted"), str(len(result.recovery))),
            (_("Seconds until they ran again: median"), f"{result.median:.1f}"),
            (_("Seconds until they ran again: longest"), f"{result.slowest:.1f}"),
        )
        for name, value in lines:
            self.stdout.write(f"{name}: {value}")
        verdict = _("Nothing was lost, and nothing was done twice.") if result.passed else _("The drill has FAILED.")
        self.stdout.write(self.style.SUCCESS(verdict) if result.passed else self.style.ERROR(verdict))
