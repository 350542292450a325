"""Connects a Twilio account from the command line: tests it, takes its senders, and tells or sets the webhooks."""

from __future__ import annotations

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

import httpx
from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.utils.translation import gettext as _
from twilio.base.exceptions import TwilioException

from channels_twilio.client import Credentials, client
from channels_twilio.connecting import connect_account, connect_sender, parse_sender
from channels_twilio.models import TwilioAccount
from channels_twilio.payloads import to_address
from channels_twilio.provisioning import Number, numbers, set_service_webhooks, set_webhooks
from channels_twilio.transport import Transport
from channels_twilio.verification import problems
from channels_twilio.webhook_urls import inbound_url, status_url
from conversations.models import Medium, Workspace

TIMEOUT_SECONDS = 60.0  # for all calls to Twilio together


class Command(BaseCommand):
    help = (
        "Test a Twilio account, connect it with its senders, and print the webhook URLs to paste, or set them. Reads "
        "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM. Can be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account-sid", default=settings.TWILIO_ACCOUNT_SID, help="in place of TWILIO_ACCOUNT_SID")
        parser.add_argument(
            "--ask-token", action="store_true", help="type the token, unseen: an option would be seen by everybody here"
        )
        parser.add_argument("--workspace", default="default", help="slug of the workspace that the account belongs to")
        parser.add_argument("--sender", action="append", help="whatsapp:+… or +…, repeatable; in place of TWILIO_FROM")
        parser.add_argument("--all", action="store_true", help="connect every number that the account has")
        parser.add_argument("--messaging-service", default="", help="MG…: the service that sends for these senders")
        parser.add_argument("--set-webhooks", action="store_true", help="set the webhook URLs at Twilio")
        parser.add_argument("--dry-run", action="store_true", help="change nothing, here or at Twilio")

    def handle(self, *args: Any, **options: Any) -> None:
        account = self._account(options)
        senders = {_sender(text) for text in options["sender"] or settings.TWILIO_FROM}
        connection.close()  # it would be held while Twilio is asked
        if found := problems(account):
            raise CommandError("\n".join(found))
        self.stdout.write(_("Twilio account {account}: Twilio accepts its credentials.").format(account=account))
        api = client(Credentials.of(account), Transport(timeout=TIMEOUT_SECONDS))
        try:
            known = list(numbers(api))
            senders |= {(number.medium, number.address) for number in known if options["all"]}
            self._connect(account, senders, options)
            self._offer(known, senders)
            self._webhooks(api, known, senders, options)
        except (TwilioException, httpx.TransportError) as error:
            # Its text may quote what was sent.
            known_by = f"{type(error).__name__} {getattr(error, 'code', '')}"
            raise CommandError(_("Twilio did not do it: {error}").format(error=known_by)) from None

    def _account(self, options: dict[str, Any]) -> TwilioAccount:
        """As it will be; nothing is saved yet."""
        sid = options["account_sid"]
        token = getpass(_("Auth token: ")) if options["ask_token"] else settings.TWILIO_AUTH_TOKEN
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if not sid or not token:
            raise CommandError(_("Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or use --account-sid and --ask-token."))
        if workspace is None:
            words = _("There is no workspace “{slug}”: `manage.py setup` makes “default”.")
            raise CommandError(words.format(slug=options["workspace"]))
        account = TwilioAccount.objects.filter(account_sid=sid).first() or TwilioAccount(account_sid=sid)
        account.workspace, account.auth_token = account.workspace if account.pk else workspace, token
        return account

    def _connect(self, account: TwilioAccount, senders: set[tuple[Medium, str]], options: dict[str, Any]) -> None:
        if options["dry_run"]:
            return
        with transaction.atomic():
            stored, done = connect_account(account.workspace, account.account_sid, account.auth_token)
            if done:
                self.stdout.write(_("Twilio account {account}: {done}.").format(account=stored, done=_(done)))
            for medium, address in sorted(senders):
                if sender := connect_sender(stored, medium, address, options["messaging_service"]):
                    self.stdout.write(_("Sender {sender}: connected.").format(sender=sender.channel_account))

    def _offer(self, known: list[Number], senders: set[tuple[Medium, str]]) -> None:
        for number in known:
            if (number.medium, number.address) not in senders:
                words = _("Not connected; add --sender {sender} or --all")
                self.stdout.write(words.format(sender=to_address(number.medium, number.address)))

    def _webhooks(
        self, api: Any, known: list[Number], senders: set[tuple[Medium, str]], options: dict[str, Any]
    ) -> None:
        self.stdout.write("\n" + _("Webhooks, all with POST:"))
        for name, url in (
            (_("when a message comes in"), inbound_url()),
            (_("when that fails (fallback)"), inbound_url()),
            (_("status callback"), status_url()),
        ):
            self.stdout.write(f"  {name}: {url}")
        self.stdout.write("")
        if not options["set_webhooks"]:
            return
        would = _("{sender}: would be set.") if options["dry_run"] else _("{sender}: set.")
        mine = [number for number in known if (number.medium, number.address) in senders]
        for number in mine:
            if not number.is_set and not options["dry_run"]:
                set_webhooks(api, number)
            said = _("{sender}: already right.") if number.is_set else would
            self.stdout.write(said.format(sender=to_address(number.medium, number.address)))
        if service := options["messaging_service"]:
            if not options["dry_run"]:
                set_service_webhooks(api, service)
            self.stdout.write(would.format(sender=service))
        by_hand = _(
            "{sender}: no number of this account that the API can change (a short code, or WhatsApp's sandbox). "
            "Paste the URLs into Twilio's console."
        )
        for medium, address in sorted(senders - {(number.medium, number.address) for number in mine}):
            self.stdout.write(by_hand.format(sender=to_address(medium, address)))


def _sender(text: str) -> tuple[Medium, str]:
    try:
        return parse_sender(text)
    except ValueError:
        words = _("“{text}” is not a sender: write whatsapp:+14155238886 or +15005550006.")
        raise CommandError(words.format(text=text)) from None
