"""`manage.py twilio_reconcile`: stores the messages of the last hours or days whose webhook was lost, now."""

from __future__ import annotations

import re
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from channels_twilio.client import Credentials, Unreadable
from channels_twilio.models import TwilioAccount
from channels_twilio.reconcile import SETTLED, NotListed, Tally, reconcile_window, windows

BAR = 40  # characters
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
SECONDS_PER_CALL = 60.0


class Command(BaseCommand):
    help = "Look for messages in Twilio's list that never came here, and store them, as their webhooks would have."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", required=True, help="how far back to look: 90m, 2h or 3d")
        parser.add_argument("--account", default="", help="an account SID; by default all")

    def handle(self, *args: Any, since: str, account: str, **options: Any) -> None:
        back = _parse(since)
        failed = [str(each) for each in _accounts(account) if not self._reconcile(each, back)]
        if failed:
            raise CommandError(_("Not finished: {accounts}").format(accounts=", ".join(failed)))

    def _reconcile(self, account: TwilioAccount, back: timedelta) -> bool:
        """Whether all of it could be looked at."""
        now, tally = timezone.now(), Tally()
        pieces = list(windows(now - back, now - SETTLED))
        try:
            credentials = Credentials.of(account)
            for number, (start, end) in enumerate(pieces, start=1):
                tally += reconcile_window(
                    account, credentials, start, end, outside=lambda: nullcontext(SECONDS_PER_CALL)
                )
                self._show(number, len(pieces))
        except (NotListed, Unreadable) as error:
            self.stderr.write(f"{account}: {error}")
            return False
        finally:
            words = _("{account}: {found} found, {stored} stored, {known} known").format(
                account=account, found=tally.found, stored=tally.stored, known=tally.known
            )
            self.stdout.write(words)
        return True

    def _show(self, done: int, of: int) -> None:
        """One line, written over and over; only on a terminal."""
        if self.stdout.isatty():
            filled = BAR * done // of
            self.stdout.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] ", ending="\n" if done == of else "")
            self.stdout.flush()


def _parse(since: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,4})([mhd])", since)
    if not found:
        raise CommandError(_("--since takes a number of minutes, hours or days: 90m, 2h or 3d."))
    return int(found[1]) * UNITS[found[2]]


def _accounts(sid: str) -> QuerySet[TwilioAccount]:
    accounts = TwilioAccount.objects.order_by("pk")
    if sid:
        accounts = accounts.filter(account_sid=sid)
        if not accounts:
            raise CommandError(_("There is no account {sid} here.").format(sid=sid))
    return accounts
