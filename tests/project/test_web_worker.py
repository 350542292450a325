"""The web process as the Procfile starts it: clients that are slow, silent or lost hold up nobody else for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from project.web_worker import REQUEST_SECONDS
from tests.stand_ins.product import Product

THREADS = 16  # as project/gunicorn.py says
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
POST = b"POST /webhooks/twilio/inbound/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + FORM

Connect = Callable[[bytes], socket.socket]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with Product(tmp_path_factory.mktemp("product")) as product:
        product.setup()
        product.start("web")
        yield product


@pytest.fixture
def connect(product: Product) -> Iterator[Connect]:
    """Opens a connection, sends what is given, and leaves it open."""
    connections = []

    def connect(request: bytes) -> socket.socket:
        connections.append(socket.create_connection(("127.0.0.1", product.port), timeout=30))
        connections[-1].sendall(request)
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def seconds_to_answer(product: Product) -> float:
    started = time.monotonic()
    httpx.get(f"{product.base_url}/healthz", timeout=30, trust_env=False).raise_for_status()
    return time.monotonic() - started


@pytest.mark.parametrize(
    "half",
    [
        POST + b"X-Twilio-Signature: x\r\nContent-Length: 500\r\n\r\nAccountSid=",
        POST + b"X-Twilio-Signature: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nA",
        POST,
    ],
    ids=["body", "chunk", "header"],
)
def test_requests_that_never_end_are_given_up(product: Product, connect: Connect, half: bytes) -> None:
    lost = [connect(half) for _ in range(THREADS)]
    time.sleep(0.2)  # each has its thread by now
    assert seconds_to_answer(product) < REQUEST_SECONDS + 1
    for connection in lost:
        while connection.recv(1000):  # ends: the server has closed it
            pass


def test_one_byte_a_second_does_not_buy_more_time(product: Product, connect: Connect) -> None:
    trickle = connect(POST)
    started = time.monotonic()
    with suppress(OSError):  # a broken pipe, or a reset
        while time.monotonic() < started + 3 * REQUEST_SECONDS:
            trickle.sendall(b"X")
            time.sleep(0.5)
    assert time.monotonic() - started < REQUEST_SECONDS + 3


def test_clients_that_do_not_close_hold_up_nobody(product: Product, connect: Connect) -> None:
    for _ in range(THREADS):
        answer = connect(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
    assert seconds_to_answer(product) < 0.5


def test_an_answer_to_a_request_that_was_too_large_is_read_to_its_end(product: Product, connect: Connect) -> None:
    body = b"a=" + b"x" * 3_000_000
    connection = connect(POST + b"Connection: close\r\nX-Twilio-Signature: x\r\nContent-Length: %d\r\n\r\n" % len(body))
    connection.settimeout(10)
    with suppress(OSError):  # it need not take all of it
        connection.sendall(body)
    assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_it_stops_at_once_when_nobody_is_being_served(tmp_path: Path, product: Product) -> None:
    seconds_to_answer(product)
    started = time.monotonic()
    assert product.stop("web") == 0
    assert time.monotonic() - started < 2
