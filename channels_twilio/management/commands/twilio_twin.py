"""Run the local stand-in for Twilio."""

from __future__ import annotations

import errno
import secrets
import signal
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from channels_twilio.sandbox import faults
from channels_twilio.sandbox.faults import BadScript, Faults, Rule, parse_script
from channels_twilio.sandbox.journal import Journal
from channels_twilio.sandbox.server import TwinServer
from channels_twilio.sandbox.twin import Account, Twin


class Command(BaseCommand):
    help = (
        "Stand in for Twilio on this machine: its REST API, signed webhooks and status callbacks, with a journal of "
        "its own. Only where SANDBOX is on. The same --seed, --faults and traffic give the same SIDs and faults."
    )
    requires_system_checks = ["twilio"]  # the others ask the product's database, which is none of the twin's business

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = faults.__doc__
        parser.add_argument(
            "--port", type=int, default=settings.TWIN_PORT, help="0 lets the system choose (default: TWIN_PORT)"
        )
        parser.add_argument("--journal", type=Path, default=settings.VAR_DIR / "twilio_twin.sqlite3")
        parser.add_argument("--seed", type=int, help="of SIDs and of the faults' luck (default: another each time)")
        parser.add_argument("--faults", default="[]", help="a fault script, or the file that holds it; see below")
        parser.add_argument("--pace", type=float, default=0.6, help="seconds between two steps of a sent message")
        parser.add_argument(
            "--inbound-url",
            default=f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/inbound/",
            help="where contacts' messages are posted; its fragment may carry connection overrides",
        )
        parser.add_argument(
            "--window-hours",
            type=float,
            default=24,
            help="after a contact's last WhatsApp message, in which free words reach them (0: always; default: 24)",
        )
        parser.add_argument(
            "--api-key", type=_api_key, metavar="SK…:SECRET", help="a key that opens the API as the token does"
        )
        parser.add_argument("--fallback-url", default="", help="what is called when that fails")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SANDBOX:
            raise CommandError(_("The Twilio twin runs only in the sandbox: set SANDBOX=1."))
        if not (settings.TWILIO_ACCOUNT_SID and settings.TWILIO_AUTH_TOKEN and settings.TWILIO_FROM):
            raise CommandError(_("The twin needs TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM."))
        account = Account(
            sid=settings.TWILIO_ACCOUNT_SID,
            auth_token=settings.TWILIO_AUTH_TOKEN,
            senders=tuple(settings.TWILIO_FROM),
            inbound_url=options["inbound_url"],
            fallback_url=options["fallback_url"],
            api_key=options["api_key"],
        )
        seed = secrets.randbelow(2**31) if options["seed"] is None else options["seed"]
        script = Faults(_read_faults(options["faults"]), seed=seed)
        try:
            with _listen(options["port"]) as server:
                signal.signal(signal.SIGTERM, signal.default_int_handler)
                journal = Journal(options["journal"])
                server.twin = Twin(
                    account,
                    journal,
                    script,
                    base_url=server.base_url,
                    pace=options["pace"],
                    window=options["window_hours"] * 3600,
                )
                self.stdout.write(_("Twilio's twin listens on {url}").format(url=server.base_url))
                self.stdout.flush()
                server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write(_("Twilio's twin has stopped."))


def _api_key(text: str) -> tuple[str, str]:
    sid, _colon, secret = text.partition(":")
    if not (sid.startswith("SK") and secret):
        raise ArgumentTypeError("an API key's SID and secret are expected, with a colon between them")
    return sid, secret


def _listen(port: int) -> TwinServer:
    try:
        return TwinServer(port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise CommandError(
            _("Port {port} is in use: stop what listens there, or set TWIN_PORT.").format(port=port)
        ) from None


def _read_faults(text: str) -> list[Rule]:
    try:
        return parse_script(text if text.lstrip().startswith("[") else Path(text).read_text())
    except (BadScript, OSError) as error:
        raise CommandError(_("The fault script cannot be understood: {error}").format(error=error)) from None
