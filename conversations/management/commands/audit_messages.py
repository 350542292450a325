"""`manage.py audit_messages`: proves that no message was forgotten, or names those that were."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from conversations.audit import Audit
from conversations.models import Message, Outcome, Workspace
from queueing.progress import Progress

SHOWN = 50


class Command(BaseCommand):
    help = (
        "Account for every message: each inbound one was answered, given to a person, suppressed, or is dead with a "
        "reason, or a job is on it; each outbound one has a job until it has left. Fails if one was forgotten."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", default="", help="the slug of the only workspace to look at")

    def handle(self, *args: Any, workspace: str, **options: Any) -> None:
        messages = Message.objects.all()
        if workspace:
            if not Workspace.objects.filter(slug=workspace).exists():
                raise CommandError(_("There is no workspace “{slug}”.").format(slug=workspace))
            messages = messages.filter(conversation__workspace__slug=workspace)
        progress, audit = Progress(self.stdout, messages.count()), Audit()
        for _moment in audit.run(workspace):
            progress.show(audit.seen, _("{count} messages").format(count=audit.seen))
        progress.end()
        for outcome in Outcome:
            self.stdout.write(f"{outcome.label}: {audit.outcomes[outcome]}")
        for pk, words in audit.unaccounted[:SHOWN]:
            self.stdout.write(self.style.ERROR(_("Message {id}: {words}").format(id=pk, words=words)))
        if audit.unaccounted:
            count = len(audit.unaccounted)
            self.stdout.write(self.style.ERROR(_("{count} messages are not accounted for.").format(count=count)))
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS(_("Every message is accounted for.")))
