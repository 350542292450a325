"""HTTP as the twin's routes see it: a request, a response, a route."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .errors import TwilioError
from .faults import Fault

if TYPE_CHECKING:
    from .twin import Twin


class Form:
    """Parameters in order, with blanks and repeated names."""

    def __init__(self, encoded: str) -> None:
        self.pairs = parse_qsl(encoded, keep_blank_values=True)

    def get(self, name: str) -> str:
        """The last value, or an empty text."""
        values = self.get_all(name)
        return values[-1] if values else ""

    def number(self, name: str, default: int = 0) -> int:
        """Raises TwilioError when it is none."""
        text = self.get(name)
        if text and not text.isdecimal():
            raise TwilioError(20001, f"{name} is not a number")
        return int(text) if text else default

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Form
    body: bytes
    headers: Mapping[str, str]
    fault: Fault | None = None  # what goes wrong with it, as far as its handler is concerned

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")

    @property
    def form(self) -> Form:
        return Form(self.body.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), headers=headers or {})


@dataclass(frozen=True, slots=True)
class Route:
    """Where a handler listens.

    Attributes:
        pattern: of the whole path; its named groups become arguments.
        operation: what fault scripts call it; None for the sandbox's own routes, which have no faults and no journal.
        open: asks for no credentials.
    """

    method: str
    pattern: re.Pattern[str]
    handler: Callable[..., Response]
    operation: str | None = None
    open: bool = False

    def handle(self, twin: Twin, request: Request) -> Response:
        match = self.pattern.fullmatch(request.path)
        if match is None:
            raise ValueError(f"{request.path} is not of this route")
        return self.handler(twin, request, **match.groupdict())
