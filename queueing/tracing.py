"""Spans of OpenTelemetry along a job's way: who enqueued it, its attempts, and the calls that they make.

Until `trace_with` is given a provider nothing is made, at the price of one look at a name. Errors are told by their
class alone: what they say would leave the house with the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .current import correlation_of, current_job
from .models import Job

Attributes = Mapping[str, str | int]

_tracer: Tracer | None = None
_propagator = TraceContextTextMapPropagator()
_nothing = nullcontext(INVALID_SPAN)
_send_rest: Callable[[], object] | None = None


def trace_with(provider: TracerProvider | None, *, send_rest: Callable[[], object] | None = None) -> None:
    """Make the spans of this process with that provider from now on; with None, make none.

    Args:
        send_rest: sends what has not been sent yet; called before a process ends at once.
    """
    global _tracer, _send_rest
    _tracer = provider.get_tracer("recado") if provider else None
    _send_rest = send_rest


def flush() -> None:
    """Before a process ends at once: send what has not been sent yet."""
    if _send_rest:
        _send_rest()


def span(
    name: str, kind: SpanKind, attributes: Attributes | None = None, *, parent: str = "", is_linked: bool = False
) -> AbstractContextManager[Span]:
    """A span for the length of a block.

    Args:
        parent: the W3C `traceparent` of another process's span; without one, the current span is the parent.
        is_linked: say by a link, too, that `parent` is where this came from.
    """
    return _Traced(_tracer, name, kind, attributes or {}, parent, is_linked) if _tracer else _nothing


def enqueuing(names: list[str]) -> AbstractContextManager[Span]:
    """The span of a producer that stores jobs of these tasks: all of them will go on from it."""
    if not _tracer:
        return _nothing
    job = current_job()
    within = trace.get_current_span().get_span_context().is_valid
    title = f"enqueue {names[0]}" if len(set(names)) == 1 else "enqueue"
    attributes: Attributes = {"messaging.operation.type": "send", "messaging.batch.message_count": len(names)}
    return span(title, SpanKind.PRODUCER, attributes, parent=job.trace_context if job and not within else "")


def performing(job: Job) -> AbstractContextManager[Span]:
    """The span of one attempt: in the trace of whoever enqueued the job."""
    if not _tracer:
        return _nothing
    attributes: Attributes = {
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue_name,
        "messaging.message.id": str(job.pk),
        "messaging.message.conversation_id": correlation_of(job),
        "job.attempt": job.attempt,
    }
    return span(f"process {job.task}", SpanKind.CONSUMER, attributes, parent=job.trace_context, is_linked=True)


def trace_context() -> str:
    """The current span as `traceparent`, for a job to go on from; empty without one."""
    if not _tracer:
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


class _Traced(AbstractContextManager[Span]):
    """OpenTelemetry's own way to make a span would record what exceptions say."""

    def __init__(
        self, tracer: Tracer, name: str, kind: SpanKind, attributes: Attributes, parent: str, is_linked: bool
    ) -> None:
        context = _propagator.extract({"traceparent": parent}) if parent else None
        source = trace.get_current_span(context).get_span_context()
        links = [Link(source)] if is_linked and source.is_valid else []
        self._span = tracer.start_span(name, context, kind, attributes, links)

    def __enter__(self) -> Span:
        self._use = trace.use_span(self._span, end_on_exit=True, record_exception=False, set_status_on_exception=False)
        return self._use.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self._span.set_attribute("error.type", kind.__qualname__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._use.__exit__(kind, error, where)
