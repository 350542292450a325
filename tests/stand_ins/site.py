"""A web server whose pages a test writes, over http or https, at any address of this machine; it notes who asked what.

with site({"/photo": answer(b"...", Content_Type="image/jpeg")}) as photos:
    ...  # photos.url + "/photo"
    assert photos.seen[0].headers["Host"] == "..."
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Page = Callable[[Any], None]


@dataclass
class Seen:
    path: str
    headers: Message
    body: bytes


@dataclass
class Site:
    url: str
    port: int
    pages: dict[str, Page]
    seen: list[Seen] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


def answer(body: bytes = b"", status: int = 200, **headers: str) -> Page:
    """The headers are named with underscores. A Content-Length of one's own is sent as it is."""

    def page(handler: Any) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return page


def redirect(url: str) -> Page:
    return answer(status=302, Location=url)


def in_turn(*pages: Page) -> Page:
    """One after the other, the last one over and over."""
    left = list(pages)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def trickle(body: bytes) -> Page:
    """A byte now and then."""

    def page(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for byte in body:
            if handler.server.site.closing.wait(0.1):
                return
            handler.wfile.write(bytes([byte]))

    return page


def endless(chunk: bytes) -> Page:
    """Without a length, until the client has had enough."""

    def page(handler: Any) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.site.closing.is_set():
            handler.wfile.write(chunk)

    return page


@contextmanager
def site(
    pages: dict[str, Page], *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            here.seen.append(Seen(self.path, self.headers, body))
            with suppress(OSError):  # the client may go before it has everything
                here.pages.get(self.path, answer(status=404))(self)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up in the middle is what some tests want."""

    server = Server((host, port), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    port = server.server_address[1]
    here = Site(f"{'https' if tls else 'http'}://{host}:{port}", port, pages)
    server.site = here  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield here
    finally:
        here.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
