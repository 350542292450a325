"""How the SDK's requests travel: over connections that all threads share, within one deadline per call.

The SDK's own client has no timeout, drops the headers of an error (`Retry-After`), and reports a connection that was
refused and one that broke after the request had left as the same exception; the second may have sent a message.
"""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from typing import Any

import httpx
from twilio.http import HttpClient
from twilio.http.response import Response

logger = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(
    logging.WARNING
)  # at INFO it writes every URL, and a look-up's carries a phone number

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Transport(HttpClient):
    """Carries the requests of one call of ours. Raises httpx.TransportError: one of NEVER_SENT, or nobody knows."""

    def __init__(self, *, timeout: float) -> None:
        """
        Args:
            timeout: seconds that all requests of this call may take together.
        """
        super().__init__(logger, is_async=False)
        self.deadline = time.monotonic() + timeout
        self.answer: httpx.Response | None = None

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """What the SDK calls. Its timeout is not used: the deadline rules. No redirect is followed with credentials."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpx.ConnectTimeout("no time left")
        limits = httpx.Timeout(left * 2 / 3, connect=left / 3, pool=left / 3)
        request = _connections(os.getpid()).build_request(
            method, uri, params=params, data=data, headers=headers, timeout=limits
        )
        self.answer = _connections(os.getpid()).send(request, auth=auth, stream=True)
        try:
            body = b"".join(self._chunks(self.answer))
        finally:
            self.answer.close()
        return Response(self.answer.status_code, body.decode("utf-8", "replace"), self.answer.headers)

    def _chunks(self, answer: httpx.Response) -> list[bytes]:
        """The body. A timeout of httpx is per read: one that trickles in would go on for ever."""
        chunks = []
        for chunk in answer.iter_bytes():
            chunks.append(chunk)
            if time.monotonic() > self.deadline:
                raise httpx.ReadTimeout("the answer did not end in time", request=answer.request)
        return chunks


@cache
def _connections(pid: int) -> httpx.Client:
    """One pool for all threads of this process: httpx's client is safe for that, and 500 TLS contexts are not cheap.

    By process: a forked child must not write into its parent's connections. They are dropped after 5 s of rest, well
    before Twilio closes them, since a request on a connection that is just being closed has an unknown outcome.
    """
    return httpx.Client(limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=5))
