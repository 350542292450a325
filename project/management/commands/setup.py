"""The first steps of a deployment, and of every later version: run it before the processes start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from channels_twilio.connecting import connect_account, connect_sender, parse_sender
from channels_twilio.models import TwilioAccount
from conversations.models import Medium, Workspace
from project.exclusive import exclusively


class Command(BaseCommand):
    help = "Migrate, collect the static files, make a workspace, and connect the Twilio account of the environment."

    def handle(self, *args: Any, **options: Any) -> None:
        senders = [parse_address(address) for address in settings.TWILIO_FROM]
        with exclusively():
            self._migrate()
            call_command("collectstatic", interactive=False, verbosity=0)
            with transaction.atomic():
                workspace = self._workspace()
                if settings.TWILIO_ACCOUNT_SID:
                    account = self._twilio_account(workspace)
                    for medium, address in senders:
                        if sender := connect_sender(account, medium, address):
                            self.stdout.write(f"Sender: {sender.channel_account} connected.")
                else:
                    self.stdout.write("No TWILIO_ACCOUNT_SID: no channel is connected by this command.")

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        steps = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        if steps:
            call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write(f"Database: {steps} migrations applied." if steps else "Database: up to date.")

    def _workspace(self) -> Workspace:
        workspace, created = Workspace.objects.get_or_create(
            slug="default", defaults={"name": "Recado", "locale": settings.LANGUAGE_CODE}
        )
        if created:
            self.stdout.write(f"Workspace: {workspace} made.")
        return workspace

    def _twilio_account(self, workspace: Workspace) -> TwilioAccount:
        sid, token = settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN
        if not token:
            raise CommandError("TWILIO_ACCOUNT_SID is set and TWILIO_AUTH_TOKEN is not: signatures cannot be checked.")
        account, done = connect_account(workspace, sid, token)
        if done:
            self.stdout.write(f"Twilio account {sid}: {done}.")
        return account


def parse_address(text: str) -> tuple[Medium, str]:
    """A sender of `TWILIO_FROM`. Raises CommandError when it is none."""
    try:
        return parse_sender(text)
    except ValueError as error:
        raise CommandError(f"TWILIO_FROM: {error}.") from None
