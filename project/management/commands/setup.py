"""The first steps of a deployment, and of every later version: run it before the processes start."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from channels_twilio.models import TwilioAccount, TwilioSender
from conversations.models import ChannelAccount, Medium, Workspace
from project.exclusive import exclusively

ADDRESS = re.compile(r"(whatsapp:)?(\+\d{6,15}|\d{3,8})")  # an E.164 number, or a short code


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
                        self._sender(account, medium, address)
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
        account, created = TwilioAccount.objects.get_or_create(
            account_sid=sid, defaults={"workspace": workspace, "auth_token": token}
        )
        if created:
            self.stdout.write(f"Twilio account {sid}: connected.")
        elif account.auth_token != token:  # also where the stored one cannot be read, after a change of SECRET_KEY
            account.auth_token = token
            account.save(update_fields=["auth_token"])
            self.stdout.write(f"Twilio account {sid}: token changed.")
        return account

    def _sender(self, account: TwilioAccount, medium: Medium, address: str) -> None:
        channel_account, _ = ChannelAccount.objects.get_or_create(
            channel="twilio", medium=medium, address=address, defaults={"workspace": account.workspace}
        )
        _, created = TwilioSender.objects.update_or_create(
            channel_account=channel_account, defaults={"account": account}
        )
        if created:
            self.stdout.write(f"Sender: {channel_account} connected.")


def parse_address(text: str) -> tuple[Medium, str]:
    """A sender of `TWILIO_FROM`, as Twilio writes it. Raises CommandError when it is none."""
    match = ADDRESS.fullmatch(text.strip())
    if not match:
        raise CommandError(f"TWILIO_FROM: {text!r} is neither whatsapp:+14155238886 nor +15005550006 in form.")
    return (Medium.WHATSAPP if match[1] else Medium.SMS), match[2]
