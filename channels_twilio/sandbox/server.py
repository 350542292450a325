"""The twin's HTTP server: credentials, faults and the journal around every route."""

from __future__ import annotations

import base64
import hmac
import socket
import socketserver
import struct
import time
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from . import api, control
from .errors import TwilioError, broken, not_found, too_many_requests, unauthorised
from .twin import Twin
from .wire import Form, Request, Response, Route, as_json

HOST = "127.0.0.1"  # never more: whoever reaches the twin can write as anybody
MAX_REQUEST_BYTES = 32 * 1024 * 1024
_ROUTES = [*api.ROUTES, *control.ROUTES]


class TwinServer(ThreadingHTTPServer):
    """Raises OSError when the port is taken. `twin` is set before it serves."""

    daemon_threads = True
    request_queue_size = 128  # the default of 5 would refuse connections in a burst
    twin: Twin

    def __init__(self, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.base_url = f"http://{HOST}:{self.server_address[1]}"

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's would look up the host's name, which can take seconds


class _Handler(BaseHTTPRequestHandler):
    server: TwinServer
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_REQUEST_BYTES:
            self.close_connection = True
            self._write(as_json({"message": "Too large"}, status=413))
            return
        url = urlsplit(self.path)
        body = self.rfile.read(length)
        request = Request(
            self.command, url.path, Form(url.query), body, {name.title(): value for name, value in self.headers.items()}
        )
        try:
            self._write(answer(self.server.twin, request))
        except Dropped as dropped:
            self.close_connection = True  # and not a byte of a response
            if dropped.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    do_GET = do_POST = do_DELETE = handle_any

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        """The journal has it all, and a log line must not show a phone number."""


class Dropped(Exception):
    """The connection ends instead of a response, with a reset or without one."""

    def __init__(self, *, reset: bool = False) -> None:
        self.reset = reset


def answer(twin: Twin, request: Request) -> Response:
    """Raises Dropped."""
    route = next((r for r in _ROUTES if r.method == request.method and r.pattern.fullmatch(request.path)), None)
    if route is None:
        return _refuse(not_found(request.path))
    began, fault = time.monotonic(), None
    response: Response | None = None
    try:
        if not route.open:
            _check_credentials(twin, request)
        if route.operation:
            address = request.form.get("To") or request.query.get("To")
            fault = twin.faults.draw(route.operation, address)
        response = _handle(twin, replace(request, fault=fault), route)
    except TwilioError as error:
        response = _refuse(error)
    finally:
        if route.operation:
            readable = response is not None and response.content_type == "application/json"
            twin.journal.add_exchange(
                kind="api",
                method=request.method,
                url=request.path,
                params=[*request.query.pairs, *request.form.pairs],
                headers=_shown(request.headers),
                status=response.status if response else None,
                response=response.body.decode() if response and readable else "",
                error="" if response else "dropped",
                fault=fault.name if fault else None,
                seconds=time.monotonic() - began,
            )
    return response


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    """What the journal keeps of them, without the secret."""
    kept = {name: value for name, value in headers.items() if name in ("Content-Type", "User-Agent")}
    if "Authorization" in headers:
        kept["Authorization"] = f"{headers['Authorization'].partition(' ')[0]} ********"
    return kept


def _handle(twin: Twin, request: Request, route: Route) -> Response:
    """Raises TwilioError and Dropped."""
    fault = request.fault
    if fault is None or fault.name == "list_lags":
        return route.handle(twin, request)
    name = fault.name
    if name == "429":
        raise too_many_requests(fault.number("retry_after", 1))
    if name == "error":
        status = int(fault.number("status", 400))
        raise TwilioError(
            int(fault.number("code", 20001)), str(fault.args.get("message", "Bad Request")), status=status
        )
    if name == "500_not_executed":
        raise broken(int(fault.number("status", 500)))
    if name == "drop_before_accept":
        time.sleep(fault.number("seconds", 0))
        raise Dropped
    response = route.handle(twin, request)
    if name == "500_executed":
        raise broken(int(fault.number("status", 500)))
    if name in ("drop_after_accept", "reset_after_accept"):
        time.sleep(fault.number("seconds", 0))
        raise Dropped(reset=name == "reset_after_accept")
    time.sleep(fault.number("seconds", 1))  # delay
    return response


def _check_credentials(twin: Twin, request: Request) -> None:
    if not any(
        hmac.compare_digest(request.authorization.encode(), _basic(*credentials))
        for credentials in ((twin.account.sid, twin.account.auth_token), twin.account.api_key)
        if credentials
    ):
        raise unauthorised()
    account = request.path.removeprefix("/2010-04-01/Accounts/")
    if account != request.path and account.removesuffix(".json").partition("/")[0] != twin.account.sid:
        raise not_found(request.path)


def _basic(username: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{username}:{password}".encode())


def _refuse(error: TwilioError) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
    return as_json(error.as_json(), status=error.status, headers=headers)
