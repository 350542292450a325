"""Ties together what belongs to one request."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bound_contextvars


class CorrelationMiddleware:
    """Gives each request an id that all its log lines carry, and that the response tells: its proxy's, or a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        is_id = len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum()
        correlation_id = given if is_id else uuid.uuid4().hex
        with bound_contextvars(correlation_id=correlation_id):
            response = self.get_response(request)
        response["X-Request-ID"] = correlation_id
        return response
