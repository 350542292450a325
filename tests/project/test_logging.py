"""A log line: one JSON object, with what it belongs to, and without personal data."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils.log import log_response
from structlog.contextvars import bound_contextvars

from project.logging import logging_config
from queueing.current import working_on
from queueing.models import Job

BODY = "what someone wrote"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the configured handler writes for the logger `product`."""
    config = logging_config(style="json", level="INFO")
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["line"])  # type: ignore[attr-defined]
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(formatter)
    logger = logging.getLogger("product")
    logger.addHandler(handler)
    yield handler.stream
    logger.removeHandler(handler)


def test_a_line_is_json_with_its_facts(written: io.StringIO) -> None:
    with bound_contextvars(correlation_id="request-1"):
        logging.getLogger("product").warning("job %s failed", 7, extra={"job_id": 7, "task": "deliver_message"})
    line = json.loads(written.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "job 7 failed",
        "level": "warning",
        "logger": "product",
        "job_id": 7,
        "task": "deliver_message",
        "correlation_id": "request-1",
    }


def test_phone_numbers_are_blotted_out_everywhere_but_in_ids(written: io.StringIO) -> None:
    try:
        raise ValueError("the number +5511987654321 is not valid")
    except ValueError:
        logging.getLogger("product").exception(
            "cannot send to %s",
            "whatsapp:+5511987654321",
            extra={"to": "+5511987654321", "worker_id": "host-123456789"},
        )
    assert "5511987654321" not in written.getvalue()
    assert json.loads(written.getvalue())["worker_id"] == "host-123456789"


def test_a_line_carries_the_job_that_it_came_of(written: io.StringIO) -> None:
    with working_on(Job(pk=7, task="deliver_message", attempt=2, correlation_id="SM1")):
        logging.getLogger("product").warning("slow")
    with working_on(Job(pk=8, task="process_idle", attempt=1)):
        logging.getLogger("product").warning("slow")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first.items() >= {"job_id": 7, "task": "deliver_message", "attempt": 2, "correlation_id": "SM1"}.items()
    assert second["correlation_id"] == "job-8"  # it came of no event outside, and begins a chain of its own


def test_an_exception_is_written_without_the_data_in_it(written: io.StringIO) -> None:
    try:
        raise ValueError(f"the text {BODY} is too long")
    except ValueError:
        logging.getLogger("product").exception("failed")
    exception = json.loads(written.getvalue())["exception"]
    assert exception.splitlines()[-1] == "ValueError: the text ••• is too long"
    assert "in test_an_exception_is_written_without_the_data_in_it" in exception


def test_a_request_is_named_by_its_path_alone(written: io.StringIO) -> None:
    request = RequestFactory().get("/admin/", {"q": "Ana"})
    log_response(
        "Not Found: %s",
        request.path,
        response=HttpResponse(status=404),
        request=request,
        logger=logging.getLogger("product"),
    )
    assert json.loads(written.getvalue())["event"] == "Not Found: /admin/"
    assert "Ana" not in written.getvalue()


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", "line\x0bbreak"])
def test_a_response_tells_the_id_that_its_lines_carry(client: Client, given: str) -> None:
    own = client.get("/healthz", headers={"host": "localhost", "X-Request-ID": given})["X-Request-ID"]
    assert len(own) == 32


def test_the_id_of_a_proxy_is_kept(client: Client) -> None:
    response = client.get("/healthz", headers={"host": "localhost", "X-Request-ID": "7f3c-1"})
    assert response["X-Request-ID"] == "7f3c-1"
