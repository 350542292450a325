"""What people write, and who they are, stays in the messages' own tables: run canaries through everything, then look.

Each canary is a name, a number or a word that occurs nowhere else. They go the whole way of a message, with the errors
that like to quote: the model's, Twilio's, a handler's own; with every log at its most talkative, and traced.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .stand_ins.openai import OpenAIServer
from .stand_ins.product import Product
from .stand_ins.servers import SQS, Valkey
from .stand_ins.twin import ROOT, eventually

pytestmark = pytest.mark.journey

NAME = "Quirina Zapatosa"
BODY = "mein Kontostand ist Xylophonbaum"
REPLY = "die Antwort lautet Yggdrasilwurzel"
NUMBERS = [f"+155501777{n:02}" for n in range(6)]
WELL, REFUSED, UNCONFIGURED, BROKE_MODEL, TIRED_MODEL, BY_SMS = NUMBERS
CANARIES = [*NAME.split(), "Kontostand", "Xylophonbaum", "Yggdrasilwurzel", *(number[1:] for number in NUMBERS)]


def canaries_in(text: str) -> set[str]:
    return {canary for canary in CANARIES if canary in text}


class Collector(ThreadingHTTPServer):
    """Where OpenTelemetry's SDK sends spans to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.received: list[ExportTraceServiceRequest] = []

    def spans(self) -> list[Span]:
        resources = [spans for request in self.received for spans in request.resource_spans]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the spans are what counts."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[tuple[Product, OpenAIServer]]:
    with OpenAIServer() as model:
        env = {
            "AI_MODEL": "openai:test",
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": model.base_url,
            "LOG_LEVEL": "DEBUG",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        with Product(tmp_path_factory.mktemp("canaries"), **env) as product:
            product.setup()
            yield product, model


@pytest.fixture(scope="module")
def product(installed: tuple[Product, OpenAIServer]) -> Product:
    """One through which the canaries have gone, on SQLite alone."""
    product, model = installed
    return run_canaries(product, model)


def run_canaries(product: Product, model: OpenAIServer) -> Product:
    """Every contact writes; each meets another error on the way."""
    twin = product.start_twin(
        faults=[
            fault(REFUSED, 21211, f"The 'To' number {REFUSED} is not a valid phone number, so not sent: {REPLY}"),
            fault(UNCONFIGURED, 63007, f"Could not find a channel for {UNCONFIGURED} ({REPLY})"),
        ]
    )
    product.start("web", "worker", "scheduler")
    for number, step in (
        (WELL, {"text": REPLY}),
        (REFUSED, {"text": REPLY}),
        (BROKE_MODEL, {"status": 400, "error": {"message": f"{NAME} must not write {BODY}"}}),
        (TIRED_MODEL, {"status": 500, "error": {"message": f"try again to answer {BODY}"}}),
    ):
        hear_from(product, model, number, step)
    twin.write(BY_SMS, BODY, to="+15550100002")
    httpx.get(f"{product.base_url}/nowhere/", params={"q": NAME, "to": WELL}, trust_env=False)
    httpx.post(f"{product.base_url}/webhooks/twilio/inbound/", data={"From": WELL, "Body": BODY}, trust_env=False)
    message = eventually(lambda: product.rows("SELECT min(id) FROM conversations_message WHERE direction = 'inbound'"))
    in_shell(product, f"from tests.probe.tasks import quote; quote.enqueue(message_id={message[0][0]})")
    eventually(lambda: len(twin.sent(BY_SMS)) == 1 and len(twin.sent(f"whatsapp:{TIRED_MODEL}")) == 1, within=30)
    eventually(lambda: product.rows("SELECT 1 FROM queueing_job WHERE task = 'quote' AND status = 'dead'"), within=10)
    hear_from(product, model, UNCONFIGURED, {"text": REPLY})  # the last: it pauses the account
    eventually(lambda: product.rows("SELECT 1 FROM queueing_job WHERE reason LIKE '%63007%'"), within=10)
    return product


def hear_from(product: Product, model: OpenAIServer, number: str, step: dict[str, Any]) -> None:
    """A contact writes, and the model is asked."""
    assert product.twin
    asked = len(model.journal)
    model.script(step)
    product.twin.write(f"whatsapp:{number}", BODY, name=NAME)
    eventually(lambda: len(model.journal) > asked, within=20)


def in_shell(product: Product, code: str) -> None:
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    subprocess.run(command, cwd=ROOT, env=product.env, check=True, capture_output=True)


def fault(number: str, code: int, message: str) -> dict[str, Any]:
    return {"match": {"to": f"whatsapp:{number}"}, "fault": "error", "args": {"code": code, "message": message}}


def test_the_canaries_went_everywhere(product: Product) -> None:
    """Else the other tests would find nothing for nothing."""
    assert len(product.rows(f"SELECT 1 FROM conversations_message WHERE text = '{BODY}'")) == len(NUMBERS)
    assert len(product.rows(f"SELECT 1 FROM conversations_contact WHERE name = '{NAME}'")) == len(NUMBERS) - 1
    outcomes = product.rows(
        "SELECT DISTINCT task, outcome FROM queueing_attempt JOIN queueing_job ON queueing_job.id = job_id"
    )
    assert set(outcomes) >= {
        ("process_ai_response", "succeeded"), ("process_ai_response", "failed"),
        ("deliver_message", "succeeded"), ("deliver_message", "deferred"), ("quote", "failed"),
    }  # fmt: skip
    assert product.rows("SELECT error_code FROM conversations_message WHERE error_code = '21211'")


def test_the_logs_hold_none(product: Product) -> None:
    lines = [line for name in ("web", "worker", "scheduler") for line in product.log(name).read_text().splitlines()]
    for said in ("/nowhere/", "LookupError", "63007", "ModelServerError 500"):
        assert any(said in line for line in lines)
    assert [line for line in lines if canaries_in(line)] == []


def test_the_queue_holds_none(product: Product) -> None:
    found = product.rows("SELECT name FROM sqlite_master WHERE name LIKE 'queueing_%' AND type = 'table'")
    tables = [name for (name,) in found]
    assert {"queueing_job", "queueing_attempt", "queueing_tally"} <= set(tables)
    for table in tables:
        assert [row for row in product.rows(f"SELECT * FROM {table}") if canaries_in(str(row))] == []


def test_what_operators_need_is_kept_of_an_error(product: Product) -> None:
    [(reason, message, traceback)] = product.rows(
        "SELECT job.reason, attempt.message, attempt.traceback"
        " FROM queueing_job job JOIN queueing_attempt attempt ON attempt.job_id = job.id WHERE task = 'quote'"
    )
    assert reason == f"LookupError: {message}"
    assert message == "••• wrote •••, which is no number"
    assert "ValueError: •••" in traceback
    assert "int(message.text)" in traceback
    assert product.rows("SELECT 1 FROM queueing_job WHERE reason LIKE '63007: %Could not find a channel for ••• (•••)'")
    assert product.rows("SELECT 1 FROM queueing_attempt WHERE message LIKE 'openai:test: Model%500'")


def test_each_line_of_a_job_names_it_and_what_it_came_of(product: Product) -> None:
    lines = [json.loads(line) for line in product.log("worker").read_text().splitlines() if line.startswith("{")]
    ends = [line for line in lines if line["logger"] == "queueing.perform"]
    assert {line["task"] for line in ends} >= {"process_ai_response", "deliver_message", "quote"}
    for line in ends:
        [(task, correlation_id)] = product.rows(
            f"SELECT task, correlation_id FROM queueing_job WHERE id = {line['job_id']}"
        )
        assert (line["task"], line["attempt"] >= 1) == (task, True)
        assert line["correlation_id"] == (correlation_id or f"job-{line['job_id']}")


def test_the_message_s_own_id_joins_all_that_came_of_it(product: Product) -> None:
    [(sid, conversation)] = product.rows(
        "SELECT message.external_id, conversation_id FROM conversations_message message"
        " JOIN conversations_conversation conversation ON conversation.id = conversation_id"
        " JOIN conversations_contact contact ON contact.id = contact_id"
        f" WHERE direction = 'inbound' AND address = '{WELL}'"
    )
    jobs = product.rows(f"SELECT task, correlation_id FROM queueing_job WHERE subject = 'conversation:{conversation}'")
    assert jobs == [("process_ai_response", sid), ("deliver_message", sid)]


# --- The trace -------------------------------------------------------------------------------------------------------


def test_one_trace_leads_from_the_webhook_to_twilio(product: Product, collector: Collector) -> None:
    way = ["POST /webhooks/twilio/inbound/", "enqueue process_ai_response", "process process_ai_response"]

    def whole() -> list[Span]:
        """The first trace with a send in it, in the order of the starts."""
        sends = [span.trace_id for span in collector.spans() if span.name == "Twilio: send"]
        trace = [span for span in collector.spans() if sends and span.trace_id == sends[0]]
        return sorted(trace, key=lambda span: span.start_time_unix_nano) if len(trace) >= 7 else []

    trace = eventually(whole, within=10)
    assert [span.name for span in trace] == [
        *way, "chat openai:test", "enqueue deliver_message", "process deliver_message", "Twilio: send",
    ]  # fmt: skip
    parents = {span.span_id: span.name for span in trace}
    assert [parents.get(span.parent_span_id) for span in trace] == [
        None, way[0], way[1], way[2], way[2], "enqueue deliver_message", "process deliver_message",
    ]  # fmt: skip
    kinds = [Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_") for span in trace]
    assert kinds == ["SERVER", "PRODUCER", "CONSUMER", "CLIENT", "PRODUCER", "CONSUMER", "CLIENT"]


def test_the_traces_hold_none(product: Product, collector: Collector) -> None:
    attributes = [attribute for span in collector.spans() for attribute in span.attributes]
    errors = {attribute.value.string_value for attribute in attributes if attribute.key == "error.type"}
    assert errors >= {"LookupError", "AssistantError", "Retry", "TwilioRestException"}
    assert canaries_in("\n".join(map(str, collector.received))) == set()


# --- The carriers of rings -------------------------------------------------------------------------------------------


def test_redis_holds_none(installed: tuple[Product, OpenAIServer]) -> None:
    with Valkey(keeps=True) as redis:
        run_again(*installed, QUEUE_URL=redis.url)
        written = b"".join(path.read_bytes() for path in Path(redis.directory).rglob("*.aof"))
    unpacked = [unzipped(written[place.start() :]) for place in re.finditer(rb"\x78\x9c", written)]
    assert b"queueing" in b"".join(unpacked)  # what RQ calls; it compresses that
    assert canaries_in(b"\n".join([written, *unpacked]).decode(errors="replace")) == set()


def test_sqs_holds_none(installed: tuple[Product, OpenAIServer]) -> None:
    with SQS() as sqs:
        httpx.post(f"{sqs.endpoint}/moto-api/recorder/start-recording", trust_env=False).raise_for_status()
        run_again(*installed, QUEUE_URL=sqs.url, **sqs.env)
        exchanged = httpx.get(f"{sqs.endpoint}/moto-api/recorder/download-recording", trust_env=False).text
    assert "SendMessage" in exchanged
    assert canaries_in(exchanged) == set()


def run_again(product: Product, model: OpenAIServer, **env: str) -> None:
    """One more message, on another carrier, by an account that is in order again."""
    assert product.twin
    in_shell(product, "from conversations.models import ChannelAccount; ChannelAccount.objects.update(paused_at=None)")
    for name in list(product.processes):
        product.stop(name)
    product.env |= env
    product.start("web", "worker", "scheduler")
    sent = len(product.twin.sent(f"whatsapp:{WELL}"))
    model.script({"text": REPLY})
    product.twin.write(f"whatsapp:{WELL}", BODY, name=NAME)
    eventually(lambda: product.twin and len(product.twin.sent(f"whatsapp:{WELL}")) > sent, within=30)


def unzipped(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return b""
