"""Rings over SQS, beside what the contract asks of every backend: queues, messages, and what is said of errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured

from queueing.backends.sqs import SqsBackend
from queueing.errors import BackendUnavailable
from tests.stand_ins.servers import SQS
from tests.stand_ins.twin import eventually


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SQS.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Queues of its own for each test."""
    return f"{abs(hash(request.node.name))}-"


@pytest.fixture
def backend(sqs_server: SQS, prefix: str) -> SqsBackend:
    return make(sqs_server.endpoint, prefix)


@pytest.fixture
def sqs(sqs_server: SQS) -> Any:
    return boto3.client("sqs", region_name="eu-west-1", endpoint_url=sqs_server.endpoint)


def make(endpoint: str, prefix: str = "recado-") -> SqsBackend:
    return SqsBackend(urlsplit(f"sqs://eu-west-1?endpoint_url={endpoint}&prefix={prefix}"))


@contextmanager
def listening(backend: SqsBackend, *queue_names: str) -> Iterator[list[float]]:
    """The moments at which a worker would have been woken."""
    woken: list[float] = []
    ended = threading.Event()
    arguments = {"wake": lambda: woken.append(time.monotonic()), "until": ended.is_set}
    thread = threading.Thread(target=backend.listen, args=(queue_names,), kwargs=arguments)
    thread.start()
    try:
        yield woken
    finally:
        ended.set()
        thread.join(timeout=2)
    assert not thread.is_alive()


def exists(sqs: Any, name: str) -> bool:
    return any(url.endswith(f"/{name}") for url in sqs.list_queues().get("QueueUrls", []))


def test_each_lane_has_a_queue_which_its_worker_makes(backend: SqsBackend, sqs: Any, prefix: str) -> None:
    with listening(backend, "default", "maintenance") as woken:
        for lane in ("default", "maintenance"):
            eventually(lambda lane=lane: exists(sqs, f"{prefix}{lane}"))
            woken.clear()
            backend.ring(lane, [1])
            eventually(lambda: woken)
    attributes = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName=f"{prefix}default")["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["MessageRetentionPeriod"] == "300"
    assert attributes["DelaySeconds"] == "0"


def test_a_queue_that_is_there_already_is_left_as_it_is(backend: SqsBackend, sqs: Any, prefix: str) -> None:
    url = sqs.create_queue(QueueName=f"{prefix}default", Attributes={"MessageRetentionPeriod": "900"})["QueueUrl"]
    with listening(backend, "default") as woken:
        backend.ring("default", [1])
        eventually(lambda: woken)
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == "900"


def test_a_message_holds_an_id_and_ten_stand_for_ten_thousand(backend: SqsBackend, sqs: Any, prefix: str) -> None:
    url = sqs.create_queue(QueueName=f"{prefix}default")["QueueUrl"]
    backend.ring("default", range(1, 10_001))
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert sorted(json.loads(message["Body"])["job"] for message in messages) == list(range(1, 11))
    assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)


def test_what_is_read_is_deleted_and_what_is_no_ring_is_counted_without_being_shown(
    backend: SqsBackend, sqs: Any, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = sqs.create_queue(QueueName=f"{prefix}default", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    for body in ("canary", '{"job": "canary"}', "[" * 5_000):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    backend.ring("default", [1])
    with listening(backend, "default") as woken:
        eventually(lambda: woken)
        time.sleep(1.5)  # what was not deleted would be visible again
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert sum(int(record.args[0]) for record in caplog.records if "no rings" in record.msg) == 3  # type: ignore[index,arg-type]
    assert "canary" not in caplog.text


# --- Errors ---------------------------------------------------------------------------------------------------------


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """An endpoint that has one answer to everything, and its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"__type": code, "message": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalFailure"), (503, "ServiceUnavailable"), (400, "Throttling")]
)
def test_errors_of_the_service_cost_little_and_end_no_listener(status: int, code: str) -> None:
    with answering(status, code) as endpoint:
        backend = make(endpoint)
        started = time.monotonic()
        for _ in range(100):
            backend.ring("default", [1])
        assert time.monotonic() - started < 0.5
        with listening(backend, "default") as woken:
            time.sleep(0.5)
        assert woken == []


def test_the_check_says_what_to_do(
    sqs_server: SQS, backend: SqsBackend, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackendUnavailable, match=f"{prefix}default.*start a worker, which makes it"):
        backend.check()
    with answering(403, "AccessDenied") as endpoint, pytest.raises(BackendUnavailable, match="AccessDenied; correct"):
        make(endpoint).check()
    with pytest.raises(BackendUnavailable, match="does not answer"):
        make("http://127.0.0.1:9").check()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(BackendUnavailable, match="no AWS credentials"):
        make(sqs_server.endpoint).check()


@pytest.mark.parametrize(
    "url", ["sqs://", "sqs:///eu-west-1", "sqs://eu-west-1?endpoint=http://x", "sqs://eu-west-1/x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="sqs://eu-west-1"):
        SqsBackend(urlsplit(url))
