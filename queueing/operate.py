"""What a person does to jobs by hand: run them again, or take them back. Each in a short transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from .backends import get_backend
from .clock import database_now
from .models import FINISHED, WAITING, Job, JobStatus
from .promote import lock_ordering_keys, promote_next

RETRIABLE = (JobStatus.DEAD, JobStatus.CANCELLED, JobStatus.SCHEDULED)


@dataclass(slots=True)
class Report:
    """What became of each job, by id."""

    done: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # cancelled while running: they stop at their next checkpoint
    skipped: dict[int, str] = field(default_factory=dict)  # with the reason, for people


class _Refused(Exception):
    """Nothing was written; the message says why."""


def retry(job_ids: Iterable[int]) -> Report:
    """Run dead and cancelled jobs again, as if they had never failed, and scheduled ones now.

    A job that comes back is older than what waits under its ordering key, so it goes first: a later one that was about
    to run waits behind it. Only while a later one is running it is skipped: the oldest unfinished job is the one that
    may run.
    """
    report = Report()
    for job_id in sorted(job_ids):
        try:
            with transaction.atomic():
                _retry(job_id, database_now())
        except _Refused as refusal:
            report.skipped[job_id] = str(refusal)
        except (
            IntegrityError
        ) as error:  # the constraint decides, so that no enqueue slips in between a look and a write
            if "unique_key" not in str(error):
                raise
            report.skipped[job_id] = _("another job waits under its unique key")
        else:
            report.done.append(job_id)
    return report


def cancel(job_ids: Iterable[int]) -> Report:
    """Take waiting jobs back at once, and ask running ones to stop."""
    report = Report()
    for job_id in sorted(job_ids):
        try:
            _cancel(job_id, report)
        except _Refused as refusal:
            report.skipped[job_id] = str(refusal)
    return report


def _look(job_id: int) -> Job:
    job = Job.objects.filter(pk=job_id).only("status", "queue_name", "ordering_key").first()
    if job is None:
        raise _Refused(_("it does not exist any more"))
    return job


def _retry(job_id: int, now: datetime) -> None:
    job = _look(job_id)
    row = Job.objects.filter(pk=job_id, status=job.status)
    match JobStatus(job.status):
        case JobStatus.SCHEDULED:
            status = JobStatus.READY
            changed = row.update(status=status, run_after=now)
        case JobStatus.DEAD | JobStatus.CANCELLED:
            lock_ordering_keys([job.ordering_key])
            status = _place(job)
            changed = row.update(
                status=status, run_after=now, finished_at=None, expires_at=None, failures=0, crashes=0,
                suspect=False, cancel_requested=False, reason="",
            )  # fmt: skip
        case JobStatus.READY | JobStatus.BLOCKED:
            raise _Refused(_("it waits for its turn already"))
        case JobStatus.RUNNING:
            raise _Refused(_("it is running"))
        case JobStatus.SUCCEEDED:
            raise _Refused(_("it has succeeded"))
    if not changed:
        raise _Refused(_("it changed at this very moment"))
    if status == JobStatus.READY:
        transaction.on_commit(partial(get_backend().ring, job.queue_name, [job_id]))


def _place(job: Job) -> JobStatus:
    """The status with which a finished job comes back under its ordering key, which must be locked."""
    head = Job.objects.unfinished_of([job.ordering_key]).order_by("pk").only("pk").first()
    if head is None:
        return JobStatus.READY
    if head.pk < job.pk:
        return JobStatus.BLOCKED
    if not Job.objects.filter(pk=head.pk, status__in=WAITING).update(status=JobStatus.BLOCKED):
        raise _Refused(_("job %(id)s, which is later under the same ordering key, is running") % {"id": head.pk})
    return JobStatus.READY


def _cancel(job_id: int, report: Report) -> None:
    while True:
        with transaction.atomic():
            job = _look(job_id)
            row = Job.objects.filter(pk=job_id)
            if job.status in FINISHED:
                raise _Refused(_("it has ended"))
            if job.status == JobStatus.RUNNING:
                # Its key is not locked: a rescue takes the row first, the key second; we would wait for each other.
                changed, where = row.filter(status=JobStatus.RUNNING).update(cancel_requested=True), report.asked
            else:
                now = database_now()
                lock_ordering_keys([job.ordering_key])
                changed, where = (
                    row.filter(status__in=WAITING).update(
                        status=JobStatus.CANCELLED, finished_at=now, reason=gettext_noop("cancelled by a person")
                    ),
                    report.done,
                )
                promote_next([job.ordering_key], now)
        if changed:
            where.append(job_id)
            return
        # A worker was faster: look again.
