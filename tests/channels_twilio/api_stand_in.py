"""A server that answers Twilio's API as a test tells it to, or drops, cuts and hangs instead of answering."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.stand_ins.judge import complaints


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    form: list[tuple[str, str]]
    authorization: str
    body: str


@dataclass
class Api:
    """What was asked, and what is answered: the script's next step, the last one over and over."""

    url: str
    script: list[Callable[[Any], None]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # what Twilio's own description has against the requests
    closing: threading.Event = field(default_factory=threading.Event)

    def answers(self, *steps: Callable[[Any], None]) -> None:
        self.script = list(steps)


def json_answer(status: int, body: object, **headers: str) -> Callable[[Any], None]:
    return raw_answer(status, json.dumps(body).encode(), **headers)


def raw_answer(status: int, body: bytes, **headers: str) -> Callable[[Any], None]:
    def step(handler: Any) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return step


def error(status: int, code: int, text: str = "no", **headers: str) -> Callable[[Any], None]:
    """As Twilio writes it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_answer(status, {"code": code, "message": text, "more_info": more, "status": status}, **headers)


def drop(handler: Any) -> None:
    """Close the connection without a byte: the request was read, and may have been executed."""
    handler.close_connection = True


def reset(handler: Any) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut(handler: Any) -> None:
    """Promise a body and close in the middle of it."""
    handler.send_response(201)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"sid": "SM')
    handler.close_connection = True


def hang(handler: Any) -> None:
    handler.server.api.closing.wait(30)
    handler.close_connection = True


def trickle(handler: Any) -> None:
    """A byte now and then, for ever."""
    handler.send_response(201)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.api.closing.wait(0.05):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


@contextmanager
def api_stand_in() -> Iterator[Api]:
    """At its end, raises AssertionError when Twilio would not have understood one of the requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            target = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            api.requests.append(
                Request(
                    self.command,
                    target.path,
                    dict(parse_qsl(target.query)),
                    parse_qsl(body, keep_blank_values=True),
                    self.headers.get("Authorization", ""),
                    body,
                )
            )
            api.complaints += complaints(self.command, self.path, body, self.headers.get("Authorization", ""))
            step = api.script.pop(0) if len(api.script) > 1 else api.script[0]
            step(self)

        def finish(self) -> None:
            if not self.wfile.closed:
                super().finish()

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # a full queue would show as connections that break

    server = Server(("127.0.0.1", 0), Handler)
    api = Api(url=f"http://127.0.0.1:{server.server_address[1]}")
    server.api = api  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert api.complaints == []
