"""A carrier that fails is left alone, for a while that grows, and noticed when it is back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from queueing.backends import breaker as module
from queueing.backends.breaker import Breaker, Patience


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.3)


def test_it_opens_at_the_first_failure_and_closes_at_the_first_success(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("the carrier")
    assert breaker.allows()
    breaker.failed(ConnectionError("secret@host"))
    assert not breaker.allows()
    time.sleep(0.11)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "the carrier is away: ConnectionError",
        "the carrier is back",
    ]


def test_each_failure_leaves_it_alone_for_longer_up_to_a_limit() -> None:
    breaker = Breaker("the carrier")
    rests = []
    for _ in range(4):
        breaker.failed(ConnectionError())
        started = time.monotonic()
        while not breaker.allows():
            time.sleep(0.005)
        rests.append(time.monotonic() - started)
    assert rests == pytest.approx([0.1, 0.2, 0.3, 0.3], abs=0.05)


def test_while_it_fails_few_are_sent_to_see() -> None:
    breaker = Breaker("the carrier")
    breaker.failed(ConnectionError())
    time.sleep(0.11)
    with ThreadPoolExecutor(8) as pool:
        sent = sum(pool.map(lambda _: breaker.allows(), range(200)))
    assert 1 <= sent <= 3


def test_a_listener_that_waits_ends_soon_when_it_is_told_to() -> None:
    told = time.monotonic() + 0.3
    patience = Patience("the carrier", until=lambda: time.monotonic() > told, longest=60)
    for _ in range(10):
        patience.wait(ConnectionError())
    assert time.monotonic() - told < 2
