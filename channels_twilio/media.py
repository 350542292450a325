"""Fetches a file that came with a message from Twilio, and from nowhere else."""

from __future__ import annotations

import ssl
from functools import cache
from typing import IO

import httpx
from django.conf import settings
from django.utils.translation import gettext_noop

from conversations.channels import FileLater, FileMissing, FileRefused
from conversations.pinned import Forbidden, PinnedTransport
from queueing import event_loop

from .client import Credentials

API = "https://api.twilio.com"
# Where Twilio's API sends its clients on to, with the paths that are Twilio's there: the last host serves everybody.
# https://www.twilio.com/docs/messaging/api/media-resource
HOSTS = {
    "api.twilio.com": "/",
    "mms.twiliocdn.com": "/",
    "media.twiliocdn.com": "/",
    "s3-external-1.amazonaws.com": "/media.twiliocdn.com/",
}
MAX_REDIRECTS = 4
REDIRECTS = (301, 302, 303, 307, 308)
MISSING = (404, 410)
LATER = (401, 403, 408, 425, 429)  # wrong credentials can be mended while the file waits at Twilio


def fetch(url: str, credentials: Credentials, into: IO[bytes], *, limit: int, timeout: float) -> None:
    """Write the file at `url` to `into`; see `Channel.fetch`.

    Args:
        limit: bytes that it may have at most. It is counted as it comes: what is announced may be a lie.
        timeout: seconds for all of it, looking up names and redirects included.
    """
    try:
        event_loop.run(_fetch(url, credentials, into, limit), timeout=timeout)
    except TimeoutError:
        raise FileLater("the file did not come in time") from None
    except Forbidden:
        raise FileRefused(gettext_noop("the file's address leads into a private network")) from None
    except httpx.InvalidURL:
        raise FileRefused(gettext_noop("the file's address cannot be read")) from None
    except httpx.TransportError as error:
        raise FileLater(f"the file could not be fetched: {type(error).__name__}") from None


async def _fetch(url: str, credentials: Credentials, into: IO[bytes], limit: int) -> None:
    target = httpx.URL(url)
    # An address that the operator has configured may be of our own network, and without TLS; no other may.
    ours = {settings.TWILIO_API_BASE_URL: httpx.AsyncHTTPTransport()} if settings.TWILIO_API_BASE_URL else {}
    auth = (credentials.username, credentials.password) if _origin(target) == _api() else None
    # The environment's proxies are not used: they would look the name up again.
    async with httpx.AsyncClient(transport=PinnedTransport(verify=_tls()), mounts=ours, trust_env=False) as http:
        for _ in range(1 + MAX_REDIRECTS):
            _check(target)
            # Compressed, a small file could hold a huge one.
            request = http.build_request("GET", target, headers={"Accept-Encoding": "identity"})
            answer = await http.send(request, auth=auth, stream=True)
            try:
                if answer.status_code not in REDIRECTS:
                    await _read(answer, into, limit)
                    return
            finally:
                await answer.aclose()
            target = target.join(answer.headers.get("Location", ""))
            auth = None  # the address that Twilio sends on to is a secret of its own: ours are not for it
    raise FileRefused(gettext_noop("the file's address is a ring of redirects"))


async def _read(answer: httpx.Response, into: IO[bytes], limit: int) -> None:
    status = answer.status_code
    if status in MISSING:
        raise FileMissing(f"Twilio does not have the file: {status}")
    if status in LATER or status >= 500:
        raise FileLater(f"Twilio does not give the file: {status}")
    if status != 200:
        raise FileRefused(f"Twilio does not give the file: {status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise FileRefused(gettext_noop("the file comes compressed, which was not asked for"))
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise FileRefused(gettext_noop("the file is too large"))
    size = 0
    async for chunk in answer.aiter_raw():
        size += len(chunk)
        if size > limit:
            raise FileRefused(gettext_noop("the file is too large"))
        into.write(chunk)


def _check(url: httpx.URL) -> None:
    """Raises FileRefused for an address that is none of Twilio's, before anything is sent there."""
    if settings.TWILIO_API_BASE_URL and _origin(url) == _api():
        return
    path = HOSTS.get(url.host)
    if url.scheme != "https" or path is None or not url.path.startswith(path) or url.userinfo:
        raise FileRefused(gettext_noop("the file does not lie at Twilio"))


def _api() -> tuple[str, str, int | None]:
    return _origin(httpx.URL(settings.TWILIO_API_BASE_URL or API))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
