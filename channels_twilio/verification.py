"""Tests credentials against Twilio's API, and says in plain words what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from django.utils.translation import gettext as _
from twilio.base.exceptions import TwilioRestException, TwilioServiceException

from conversations.secrets import Sealed

from .client import Credentials, client
from .models import TwilioAccount
from .transport import Transport

TIMEOUT_SECONDS = 5.0


def problems(account: TwilioAccount) -> list[str]:
    """What is wrong with each of an account's credentials, one sentence each; nothing when all of them work.

    It calls Twilio, so no transaction may be open.
    """
    found = []
    for name, credentials in _given(account):
        if problem := _problem(credentials):
            found.append(f"{name}: {problem}")
    return found


def _given(account: TwilioAccount) -> Iterator[tuple[str, Credentials]]:
    """The token too where an API key is used: signatures are checked with it, so a wrong one refuses every webhook."""
    sid = account.account_sid
    for name, username, password in (
        (_("auth token"), sid, account.auth_token),
        (_("secondary auth token"), sid, account.next_auth_token),
        (_("API key"), account.api_key_sid, account.api_key_secret),
    ):
        if username and password and not isinstance(password, Sealed):
            yield name, Credentials(sid, username, password)


def _problem(credentials: Credentials) -> str:
    """https://www.twilio.com/docs/iam/api/account"""
    transport = Transport(timeout=TIMEOUT_SECONDS)
    try:
        status = client(credentials, transport).api.v2010.accounts(credentials.account_sid).fetch().status
    except (TwilioRestException, TwilioServiceException):
        return _refusal(transport.answer.status_code if transport.answer else 0)
    except httpx.TransportError:
        return _("Twilio could not be reached, so it was not tested.")
    except (ValueError, TypeError, AttributeError, KeyError):
        return _("what answered is not Twilio's API. Is TWILIO_API_BASE_URL right?")
    match status:
        case "suspended":
            return _("the account is suspended. Nothing is sent or received until Twilio reactivates it.")
        case "closed":
            return _("the account is closed. Nothing will be sent or received.")
        case _:
            return ""


def _refusal(status: int) -> str:
    match status:
        case 401:
            return _("Twilio refuses it. The account SID or the secret is wrong.")
        case 403:
            return _("Twilio knows it, and it may not read this account. A restricted key lacks that right.")
        case 404:
            return _("Twilio finds no such account with it. The account SID is wrong, or of another account.")
        case _:
            return _("Twilio answered %(status)s, so it was not tested.") % {"status": status}
