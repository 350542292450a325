"""Tracing is configured by OpenTelemetry's own variables; that traces arrive is shown in tests/test_canaries.py."""

from __future__ import annotations

import pytest

from project import checks, tracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_a_collector_must_be_named(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], wanted: bool) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert tracing.is_wanted() is wanted


def test_a_collector_without_the_means_to_reach_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    assert checks.check_tracing(None) == []
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    assert [error.id for error in checks.check_tracing(None)] == ["project.E012"]
