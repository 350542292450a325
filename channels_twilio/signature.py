"""Whether a request comes from Twilio: the only door of the webhooks, and it is shut unless a signature opens it.

https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.http import HttpRequest, QueryDict

from conversations.secrets import Sealed

from .models import TwilioAccount

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}  # Twilio's names, hashlib's


class Refused(Exception):
    """The request does not carry a valid signature of an account that is known here."""


class Unverifiable(Exception):
    """The account's token cannot be decrypted: was SECRET_KEY changed without SECRET_KEY_FALLBACKS?"""

    def __str__(self) -> str:
        return str(self.__doc__)


class SignedRequest:
    """What a request says, and with what it vouches for it. Nothing of it is true before `is_signed` says so.

    Attributes:
        signature: what `X-Twilio-Signature` carries.
        key_id: which shared key signed it; empty for the auth token.
        algorithm: one of ALGORITHMS' names, or another, which signs nothing.
        target: path and query as they were on the wire.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.signature = request.headers.get("X-Twilio-Signature", "")
        said = _settings(request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""))
        self.key_id, self.algorithm = said.get("key", ""), said.get("algorithm", "HMAC_SHA1")
        self.target = _raw_target(request)

    @cached_property
    def params(self) -> QueryDict:
        """The parameters, of a form or of a JSON object's texts. Empty for any other body.

        Raises RequestDataTooBig, TooManyFieldsSent or BadRequest, as `request.POST` does.
        """
        if self.request.content_type == FORM:
            return self.request.POST
        return _json_params(self.request.body) if self.request.content_type == JSON else QueryDict()

    @property
    def account_sid(self) -> str:
        """Of the account that it claims to come from. Empty for what is no SID: PostgreSQL takes no NUL."""
        named = self.params.get("AccountSid", "")
        return named if named.isalnum() and len(named) <= 34 else ""

    def is_signed(self, secret: str, url: str) -> bool:
        """Whether the signature is the one that Twilio makes with `secret` for a request to `url`.

        A JSON body is vouched for by its hash in the URL, which is signed; without one by nothing, so it is refused.
        """
        if not secret or not self.signature or self.algorithm not in ALGORITHMS:
            return False
        if self.request.content_type == JSON and not _is_body_of(self.request.body, url):
            return False
        params = self.params if self.request.content_type == FORM else QueryDict()
        return hmac.compare_digest(sign(secret, url, params, self.algorithm).encode(), self.signature.encode())


def verified_account(request: HttpRequest) -> TwilioAccount:
    """The account that signed `request`. Raises Refused when none did, and Unverifiable when that cannot be known.

    The account is looked up by the AccountSid that the request names, not by the number it was sent to: not all numbers
    behind a Messaging Service are known. While a token is being rotated, either may sign.
    """
    signed = SignedRequest(request)
    named = signed.account_sid  # reads the body, so that one that is too large is refused before anything else is done
    account = TwilioAccount.objects.filter(account_sid=named).first() if signed.signature and named else None
    if account is None:
        raise Refused
    secrets = secrets_of(account, signed.key_id)
    for url in with_and_without_port(settings.PUBLIC_BASE_URL, signed.target):
        if any(signed.is_signed(secret, url) for secret in secrets):
            return account
    raise Unverifiable if any(isinstance(secret, Sealed) for secret in secrets) else Refused


def secrets_of(account: TwilioAccount, key_id: str) -> tuple[str, ...]:
    """With which Twilio may sign for `account`: the shared key where the request names one, else either auth token.

    https://www.twilio.com/docs/usage/webhooks/webhooks-security
    """
    if not key_id:
        return (account.auth_token, account.next_auth_token)
    return (account.shared_key_secret,) if key_id == account.shared_key_id else ()


def sign(secret: str, url: str, params: QueryDict, algorithm: str = "HMAC_SHA1") -> str:
    """What Twilio puts into `X-Twilio-Signature`: URL, then names and values in code-point order, repeated pairs once.

    The SDK's RequestValidator computes the same in a multiple of the time; the tests hold the two together.
    """
    pairs = sorted({(name, value) for name, values in params.lists() for value in values})
    signed = url + "".join(name + value for name, value in pairs)
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), ALGORITHMS[algorithm])).decode()


def with_and_without_port(base_url: str, target: str) -> Iterator[str]:
    """The URL without its port and with it: Twilio signs one or the other."""
    base = urlsplit(base_url)
    port = base.port or (443 if base.scheme == "https" else 80)
    host = base.netloc.removesuffix(f":{base.port}")
    for netloc in (host, f"{host}:{port}"):
        yield f"{base.scheme}://{netloc}{base.path}{target}"


def _settings(header: str) -> dict[str, str]:
    """`key=…,algorithm=…`; parts without a value say nothing."""
    parts = (part.partition("=") for part in header.split(","))
    return {name.strip(): value.strip() for name, _, value in parts if value.strip()}


def _json_params(body: bytes) -> QueryDict:
    """The object's texts and numbers as parameters. Whatever is not an object in UTF-8 has none."""
    params = QueryDict(mutable=True)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return params
    for name, value in said.items() if isinstance(said, dict) else ():
        if isinstance(value, str | int | float):
            params[_storable(name)] = _storable(str(value))
    return params


def _storable(text: str) -> str:
    """JSON can write half a character, which no database takes."""
    return text.encode(errors="replace").decode()


def _is_body_of(body: bytes, url: str) -> bool:
    """Whether `url` carries the hash of `body` as its first `bodySHA256`."""
    hashes = QueryDict(urlsplit(url).query).getlist("bodySHA256")
    return bool(hashes) and hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), hashes[0].encode())


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
