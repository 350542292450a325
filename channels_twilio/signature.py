"""Whether a request comes from Twilio: the only door of the webhooks, and it is shut unless a signature opens it.

https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.http import HttpRequest, QueryDict

from .models import TwilioAccount
from .secrets import Sealed

FORM = "application/x-www-form-urlencoded"


class Refused(Exception):
    """The request does not carry a valid signature of an account that is known here."""


class Unverifiable(Exception):
    """The account's token cannot be decrypted: was SECRET_KEY changed without SECRET_KEY_FALLBACKS?"""

    def __str__(self) -> str:
        return str(self.__doc__)


def verified_account(request: HttpRequest) -> TwilioAccount:
    """The account that signed `request`. Raises Refused when none did, and Unverifiable when that cannot be known.

    The account is looked up by the AccountSid that the request names, not by the number it was sent to: not all numbers
    behind a Messaging Service are known. While a token is being rotated, either may sign.
    """
    signature = request.headers.get("X-Twilio-Signature", "")
    # A JSON body would be signed by its hash alone and names no account: messaging webhooks never send one.
    account_sid = request.POST.get("AccountSid", "") if request.content_type == FORM else ""
    account = TwilioAccount.objects.filter(account_sid=account_sid).first() if signature and account_sid else None
    if account is None:
        raise Refused
    tokens = (account.auth_token, account.next_auth_token)
    for url in _public_urls(request):
        for token in filter(None, tokens):  # an empty key is no secret
            if hmac.compare_digest(sign(token, url, request.POST).encode(), signature.encode()):
                return account
    raise Unverifiable if any(isinstance(token, Sealed) for token in tokens) else Refused


def sign(token: str, url: str, params: QueryDict) -> str:
    """What Twilio puts into `X-Twilio-Signature`: URL, then names and values in code-point order, repeated pairs once.

    The SDK's RequestValidator computes the same in a multiple of the time; the tests hold the two together.
    """
    pairs = sorted({(name, value) for name, values in params.lists() for value in values})
    signed = url + "".join(name + value for name, value in pairs)
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def _public_urls(request: HttpRequest) -> Iterator[str]:
    """The URL as it was given to Twilio, without its port and with it: Twilio signs one or the other."""
    base = urlsplit(settings.PUBLIC_BASE_URL)
    port = base.port or (443 if base.scheme == "https" else 80)
    host = base.netloc.removesuffix(f":{base.port}")
    target = _raw_target(request)
    for netloc in (host, f"{host}:{port}"):
        yield f"{base.scheme}://{netloc}{base.path}{target}"


def _raw_target(request: HttpRequest) -> str:
    """Path and query as they were on the wire: Twilio signed `%7E`, and not the `~` that Django makes of it."""
    target: str = (
        request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or ""
    )  # gunicorn's name, or other servers'
    if target.startswith("/"):
        return target
    # Servers that tell neither (runserver): the query is raw all the same, and the paths here need no escapes.
    query = request.META.get("QUERY_STRING", "")
    return quote(request.path) + (f"?{query}" if query else "")
