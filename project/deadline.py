"""How long a request may keep its caller waiting for the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

MACHINE_SECONDS = 2.0  # Twilio, or a probe, is to hear 503 within 3 s
PERSON_SECONDS = 10.0  # a person waits for a page; but not so long that hanging pages hold every thread
MACHINE_PATHS = ("/webhooks/", "/readyz", "/healthz")

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


def seconds_left() -> float:
    """What is left for this request; infinite outside one. Never negative."""
    return max(_deadline.get() - time.monotonic(), 0.0)


class DeadlineMiddleware:
    """Sets the moment after which the database is not waited for any more, whatever it is that holds it up.

    PostgreSQL's own timeouts run in the server, and so do not run out in one that hangs; they also start anew with each
    statement. `project.postgresql` keeps this one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        seconds = MACHINE_SECONDS if request.path.startswith(MACHINE_PATHS) else PERSON_SECONDS
        token = _deadline.set(time.monotonic() + seconds)
        try:
            return self.get_response(request)
        finally:
            _deadline.reset(token)
