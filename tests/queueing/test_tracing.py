"""A trace goes on from whoever enqueues a job into each of its attempts, and tells nobody what was said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from queueing.backends.immediate import run_ready_jobs
from queueing.context import JobContext
from queueing.models import Job
from queueing.perform import perform
from queueing.service import QueueService
from queueing.tracing import span, trace_with
from tests.probe import tasks as probe

pytestmark = pytest.mark.django_db(transaction=True)

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What was traced, in the order of the ends."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_with(provider)
    yield exporter
    trace_with(None)


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [each for each in spans.get_finished_spans() if each.name == name]
    return found


def test_an_attempt_goes_on_from_the_enqueue(spans: InMemorySpanExporter) -> None:
    with span("POST", SpanKind.SERVER, parent=REMOTE):
        job = probe.nothing.using(correlation_id="SM1").enqueue()
    run_ready_jobs()
    server, producer, consumer = (named(spans, name) for name in ("POST", "enqueue nothing", "process nothing"))
    assert [each.kind for each in (server, producer, consumer)] == [
        SpanKind.SERVER,
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
    ]
    assert {f"{each.context.trace_id:032x}" for each in (server, producer, consumer) if each.context} == {REMOTE[3:35]}
    assert server.parent
    assert f"{server.parent.span_id:016x}" == REMOTE[36:52]
    assert producer.parent == server.context
    assert producer.context
    assert consumer.parent
    assert consumer.parent.span_id == producer.context.span_id == consumer.links[0].context.span_id
    assert consumer.attributes
    assert (
        consumer.attributes.items()
        >= {
            "messaging.message.id": str(job.pk),
            "messaging.message.conversation_id": "SM1",
            "messaging.destination.name": "default",
            "job.attempt": 1,
        }.items()
    )


def test_what_a_job_enqueues_is_part_of_its_attempt(spans: InMemorySpanExporter, journal: Path) -> None:
    journal.write_text("0 go\n")
    probe.complete_late.enqueue(word="x", wanted="go")
    run_ready_jobs()
    attempt, child = named(spans, "process complete_late"), named(spans, "enqueue note")
    assert child.parent == attempt.context


def test_what_is_enqueued_for_a_dead_job_is_in_its_trace(spans: InMemorySpanExporter, journal: Path) -> None:
    """By the worker's own thread, which is inside no span."""
    probe.mortal.enqueue(word="x")
    run_ready_jobs()
    before, last_word = named(spans, "enqueue mortal"), named(spans, "enqueue bury")
    assert before.context
    assert last_word.parent
    assert last_word.parent.span_id == before.context.span_id


def test_an_error_is_told_by_its_class_alone(spans: InMemorySpanExporter) -> None:
    job = probe.fail.enqueue(word="a canary")
    error = perform(JobContext(job, timeout=60))
    assert isinstance(error, ValueError)
    attempt = named(spans, "process fail")
    assert attempt.attributes
    assert (attempt.status.is_ok, attempt.attributes["error.type"]) == (False, "ValueError")
    assert "canary" not in attempt.to_json()


def test_jobs_enqueued_together_go_on_from_one_span(spans: InMemorySpanExporter) -> None:
    jobs = QueueService.enqueue_many([(probe.nothing, {}), (probe.tidy, {})])
    assert len({job.trace_context for job in jobs}) == 1
    attributes = named(spans, "enqueue").attributes
    assert attributes
    assert attributes["messaging.batch.message_count"] == 2


def test_a_context_that_cannot_be_read_begins_a_new_trace(spans: InMemorySpanExporter) -> None:
    job = probe.nothing.enqueue()
    Job.objects.update(trace_context="nonsense")
    run_ready_jobs()
    attempt = named(spans, "process nothing")
    assert (attempt.parent, attempt.links) == (None, ())
    assert job.trace_context


def test_without_a_provider_nothing_is_made() -> None:
    job = probe.nothing.enqueue()
    assert job.trace_context == ""
    with span("POST", SpanKind.SERVER, parent=REMOTE) as current:
        assert not current.is_recording()
    assert perform(JobContext(job, timeout=60)) is None
