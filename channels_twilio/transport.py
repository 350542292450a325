"""How the SDK's requests travel: over connections that all threads share, within one deadline per call.

The SDK's own client has no timeout, drops the headers of an error (`Retry-After`), and reports a connection that was
refused and one that broke after the request had left as the same exception; the second may have sent a message.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import closing
from typing import Any

import httpx
from twilio.http import HttpClient
from twilio.http.response import Response

logger = logging.getLogger(__name__)

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
        is_json = (headers or {}).get("Content-Type") == "application/json"  # as the SDK's own client tells it
        body: dict[str, Any] = {"json": data} if is_json else {"data": data}
        request = connections.build_request(method, uri, params=params, headers=headers, timeout=limits, **body)
        self.answer = connections.send(request, auth=auth, stream=True)
        with closing(self.answer):
            answered = bytearray()
            for chunk in self.answer.iter_bytes():
                answered += chunk
                if time.monotonic() > self.deadline:  # httpx limits each read: a trickle would go on for ever
                    raise httpx.ReadTimeout("the answer did not end in time", request=request)
        return Response(self.answer.status_code, answered.decode("utf-8", "replace"), self.answer.headers)


connections: httpx.Client


def open_connections() -> None:
    """One pool for all threads of a process: httpx's client is made for that, and 500 TLS contexts are not cheap.

    A connection is dropped after 5 s of rest, well before Twilio closes it, since a request on one that is just being
    closed has an unknown outcome.
    """
    global connections
    connections = httpx.Client(
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=5)
    )


open_connections()
os.register_at_fork(after_in_child=open_connections)  # a child must not write into its parent's connections
