"""Sends spans to a collector, where OpenTelemetry's own environment variables name one."""

from __future__ import annotations

import os
from importlib.util import find_spec

from queueing.tracing import trace_with

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted() -> bool:
    """Whether a collector is named, and tracing not switched off."""
    is_off = (
        os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not is_off and any(os.environ.get(name) for name in ENDPOINTS)


def is_installed() -> bool:
    """Whether `requirements-tracing.txt` is."""
    return find_spec("opentelemetry.sdk") is not None and find_spec("opentelemetry.exporter") is not None


def configure() -> None:
    """Trace in every process that serves or works: each is a fork of one that only watches, and that has no threads."""
    if is_wanted() and is_installed():
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace.export  # noqa: F401  (here, once for all forks, and only where it is wanted)

        os.environ.setdefault("OTEL_SERVICE_NAME", "recado")
        os.register_at_fork(after_in_child=_start)


def _start() -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace_with(provider, send_rest=provider.shutdown)
