"""How Twilio calls a webhook: signed, in a budget of 15 s, with one retry and only when no connection came about.

A URL may carry overrides in its fragment, `#rc=5&rp=all&ct=2000&rt=4000`, which is no part of the signed URL:
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urldefrag, urlencode

import httpx
from twilio.request_validator import RequestValidator

from .journal import Journal

Params = Sequence[tuple[str, str]]

HTTP_RETRIEVAL_FAILURE = "11200"
HTTP_CONNECTION_FAILURE = "11205"
INVALID_CONTENT_TYPE = "12300"


@dataclass(frozen=True, slots=True)
class Manner:
    """How often and how long to try. Times in seconds."""

    retries: int = 1
    policies: frozenset[str] = frozenset({"ct"})  # ct: no connection, rt: no response in time, 4xx, 5xx
    connect_timeout: float = 5
    read_timeout: float = 15
    total: float = 15

    @classmethod
    def of(cls, fragment: str) -> Manner:
        given = dict(parse_qsl(fragment))
        policies = frozenset(given.get("rp", "ct").split(","))
        return cls(
            retries=int(given.get("rc", 1)),
            policies=frozenset({"ct", "rt", "4xx", "5xx"}) if "all" in policies else policies,
            connect_timeout=int(given.get("ct", 5000)) / 1000,
            read_timeout=int(given.get("rt", 15000)) / 1000,
            total=int(given.get("tt", 15000)) / 1000,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one try. `failure` is what a retry policy may name, or empty."""

    failure: str
    error: str
    status: int | None = None
    body: str = ""


class Webhooks:
    """Raises nothing for what happens on the wire: it goes to the journal, as at Twilio to the debugger."""

    def __init__(self, auth_token: str, journal: Journal) -> None:
        self._validator = RequestValidator(auth_token)  # type: ignore[no-untyped-call]
        self._journal = journal
        # No connection is kept: an idle one that the other side has closed would look like a failure of theirs.
        self._client = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    def call(self, kind: str, url: str, params: Params, *, fallback_url: str = "", fault: str | None = None) -> bool:
        """Whether it was answered well, by `url` or else by `fallback_url`."""
        result = self._call_one(kind, url, params, fault)
        if result.error and fallback_url:
            why = [("ErrorCode", result.error), ("ErrorUrl", urldefrag(url).url)]
            result = self._call_one(kind, fallback_url, [*params, *why], fault)
        return not result.error

    def _call_one(self, kind: str, url: str, params: Params, fault: str | None) -> Result:
        url, fragment = urldefrag(url)
        manner = Manner.of(fragment)
        token = str(uuid.uuid4())  # tells the tries of one request apart from another request
        deadline = time.monotonic() + manner.total
        for attempt in range(manner.retries + 1):
            began = time.monotonic()
            headers = self._headers(url, params, token)
            result = self._try(url, params, headers, manner, left=deadline - began)
            self._journal.add_exchange(
                kind=kind,
                method="POST",
                url=url,
                params=params,
                headers=headers,
                idempotency_token=token,
                status=result.status,
                response=result.body,
                error=result.error,
                fault=fault,
                seconds=time.monotonic() - began,
            )
            if result.failure not in manner.policies or attempt == manner.retries or time.monotonic() >= deadline:
                break
        return result

    def _headers(self, url: str, params: Params, token: str) -> dict[str, str]:
        signature: str = self._validator.compute_signature(url, dict(params))  # type: ignore[no-untyped-call]
        return {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature,
            "I-Twilio-Idempotency-Token": token,
        }

    def _try(self, url: str, params: Params, headers: dict[str, str], manner: Manner, *, left: float) -> Result:
        timeout = httpx.Timeout(min(manner.read_timeout, left), connect=min(manner.connect_timeout, left))
        try:
            response = self._client.post(url, content=urlencode(params), headers=headers, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Result("ct", HTTP_CONNECTION_FAILURE)
        except httpx.TimeoutException:
            return Result("rt", HTTP_RETRIEVAL_FAILURE)
        except httpx.TransportError:  # the connection broke after the request had left: not one of the policies
            return Result("", HTTP_RETRIEVAL_FAILURE)
        return _judge(response)


def _judge(response: httpx.Response) -> Result:
    status, content_type = response.status_code, response.headers.get("Content-Type", "")
    if status >= 300:
        return Result(f"{status // 100}xx", HTTP_RETRIEVAL_FAILURE, status, response.text)
    if response.content and not content_type:
        return Result("", HTTP_RETRIEVAL_FAILURE, status, response.text)
    if response.content and not content_type.startswith(("text/", "application/xml")):
        return Result("", INVALID_CONTENT_TYPE, status, response.text)
    return Result("", "", status, response.text)
