"""System checks: every setting that would lose messages, let strangers in, or send credentials to the wrong place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from conversations.secrets import Sealed

from .models import TwilioAccount

ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")


@register("twilio")
def check_public_base_url(**kwargs: Any) -> list[Error]:
    """The signature of every webhook covers this URL, and the status callbacks go to it."""
    url, errors = urlsplit(settings.PUBLIC_BASE_URL), []
    if not url.hostname:
        errors.append(
            _error("PUBLIC_BASE_URL is not set, so no webhook can be verified.", "Set it to what Twilio calls.", 1)
        )
    elif url.scheme != "https" and not (url.scheme == "http" and (settings.SANDBOX or _is_loopback(url.hostname))):
        errors.append(
            _error("PUBLIC_BASE_URL is not https: messages would cross the network readable.", "Use https.", 2)
        )
    if "_" in (url.hostname or ""):
        errors.append(
            _error("The host in PUBLIC_BASE_URL has an underscore: Twilio refuses such callbacks.", "Rename it.", 3)
        )
    if url.query or url.fragment:
        errors.append(
            _error(
                "PUBLIC_BASE_URL has a query or a fragment.", "Give scheme, host and path prefix; the rest is added.", 4
            )
        )
    return errors


@register("twilio")
def check_sandbox(**kwargs: Any) -> list[Error]:
    """The sandbox signs like Twilio and shows every message: it must stand alone, on this machine."""
    if not settings.SANDBOX:
        return []
    errors = []
    if settings.TWILIO_ACCOUNT_SID != settings.SANDBOX_ACCOUNT_SID and not _is_loopback_url(
        settings.TWILIO_API_BASE_URL
    ):
        errors.append(
            _error(
                "SANDBOX is on with credentials of a real Twilio account.",
                "Remove SANDBOX, or remove TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
                5,
            )
        )
    if not _is_loopback_url(settings.PUBLIC_BASE_URL):
        errors.append(
            _error("SANDBOX is on with a PUBLIC_BASE_URL that others can reach.", "Remove one of the two.", 6)
        )
    return errors


@register("twilio")
def check_credentials(**kwargs: Any) -> list[Error]:
    """They are optional here: accounts can be kept in the admin alone."""
    errors = []
    if settings.TWILIO_ACCOUNT_SID and not ACCOUNT_SID.fullmatch(settings.TWILIO_ACCOUNT_SID):
        errors.append(
            _error(
                "TWILIO_ACCOUNT_SID is malformed.", "It is AC and 32 hexadecimal digits; an API key (SK…) is not.", 7
            )
        )
    if bool(settings.TWILIO_ACCOUNT_SID) != bool(settings.TWILIO_AUTH_TOKEN):
        errors.append(
            _error("Only one of TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN is set.", "Set both, or neither.", 8)
        )
    return errors


@register("twilio")
def check_api_base_url(**kwargs: Any) -> list[Error]:
    """Every request to this URL carries the auth token."""
    url = urlsplit(settings.TWILIO_API_BASE_URL)
    if not settings.TWILIO_API_BASE_URL or (url.hostname and (url.scheme == "https" or _is_loopback(url.hostname))):
        return []
    return [
        _error(
            "TWILIO_API_BASE_URL would get the auth token unencrypted.", "Use https, or an address of this machine.", 9
        )
    ]


@register(Tags.database)
def check_tokens(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """A `SECRET_KEY` that opens no stored token is the wrong one: every webhook would have to be refused."""
    try:
        sealed, accounts = sealed_accounts(), TwilioAccount.objects.count()
    except DatabaseError:
        return []  # not migrated yet, or not there, which others say
    message = f"SECRET_KEY does not open the stored tokens of {len(sealed)} of {accounts} Twilio accounts: their "
    message += "webhooks get 503, and their messages wait."
    hint = "Put the earlier key into SECRET_KEY_FALLBACKS. Where it is lost, enter the tokens anew, in the admin or by "
    hint += "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and `manage.py setup`."
    if sealed and len(sealed) == accounts:
        return [_error(message, hint, 10)]
    return [Warning(message, hint=hint, id="twilio.W001")] if sealed else []


def sealed_accounts() -> list[TwilioAccount]:
    """The accounts whose token no key opens."""
    return [account for account in TwilioAccount.objects.all() if isinstance(account.auth_token, Sealed)]


def _error(message: str, hint: str, number: int) -> Error:
    return Error(message, hint=hint, id=f"twilio.E{number:03}")


def _is_loopback_url(url: str) -> bool:
    return _is_loopback(urlsplit(url).hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
