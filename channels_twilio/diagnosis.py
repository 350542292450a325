"""Why a request in quarantine was refused: under which URL, or which secret, its signature would have been valid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from urllib.parse import urlsplit

from django.conf import settings

from conversations.secrets import Sealed

from .models import QuarantinedRequest, TwilioAccount
from .quarantine import as_request
from .signature import SignedRequest, secrets_of, with_and_without_port


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The way in which a request is valid.

    Attributes:
        account: that it names, and is released to.
        owner: whose token signed it; another account of the same workspace, where a token was entered at the wrong one.
        url: what Twilio signed.
        base_url: what PUBLIC_BASE_URL would have to be; empty where it is right.
        target_differs: whether path or query are not those that came here, so that something on the way changes them.
    """

    account: TwilioAccount
    owner: TwilioAccount
    secret: str
    url: str
    base_url: str
    target_differs: bool


def diagnose(row: QuarantinedRequest) -> Diagnosis | None:
    """The first way in which `row` is valid, those with the least to change first. None where there is none."""
    signed = SignedRequest(as_request(row))
    account = TwilioAccount.objects.filter(account_sid=signed.account_sid).first() if signed.account_sid else None
    if account is None:
        return None
    others = TwilioAccount.objects.filter(workspace=account.workspace_id).exclude(pk=account.pk)
    owners = [account, *others.order_by("pk")]
    for owner, (base_url, target) in product(owners, _urls(row)):
        for secret in secrets_of(owner, signed.key_id):
            if isinstance(secret, Sealed):
                continue
            for url in with_and_without_port(base_url, target):
                if signed.is_signed(secret, url):
                    suggested = "" if base_url == settings.PUBLIC_BASE_URL else base_url
                    return Diagnosis(account, owner, secret, url, suggested, target != signed.target)
    return None


def _urls(row: QuarantinedRequest) -> Iterator[tuple[str, str]]:
    """Base URLs and targets, from what is configured to what is further and further from it."""
    public = urlsplit(settings.PUBLIC_BASE_URL)
    netlocs = dict.fromkeys(netloc for netloc in (public.netloc, row.host) if _is_netloc(netloc))
    prefixes = dict.fromkeys((public.path, ""))
    schemes = dict.fromkeys((public.scheme or "https", "https", "http"))
    bases = [f"{scheme}://{netloc}{prefix}" for prefix, netloc, scheme in product(prefixes, netlocs, schemes)]
    for target, base in product(_targets(row.path), bases):
        yield base, target


def _targets(target: str) -> dict[str, None]:
    """The path with and without its last slash, and with and without the query."""
    path, mark, query = target.partition("?")
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    return dict.fromkeys((target, other + mark + query, path, other))


def _is_netloc(netloc: str) -> bool:
    """Whether a URL can be made with it. The host that a request names may be any words."""
    try:
        url = urlsplit(f"//{netloc}")
        return bool(url.hostname) and url.netloc == netloc and url.port != 0
    except ValueError:  # no port, or no address
        return False
