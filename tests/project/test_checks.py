"""Settings that would lose messages or let strangers in are refused, by every process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import connection
from pytest_django import Settings

from project import checks
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db


def found() -> set[str | None]:
    return {message.id for message in run_checks()}


def test_the_settings_of_the_tests_are_fine() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DEBUG", True, "project.E001"),
        ("SECRET_KEY", "short", "project.E002"),
        ("SECRET_KEY", "ab" * 40, "project.E002"),
        ("ALLOWED_HOSTS", ["*"], "project.E003"),
        ("REPLY_DEBOUNCE_MAX_SECONDS", 1, "project.E004"),
        ("REPLY_DEBOUNCE_SECONDS", -1, "project.E004"),
        ("CONVERSATION_IDLE_MINUTES", 1440, "project.E005"),
        ("CONVERSATION_PENDING_EXPIRY_MINUTES", 0, "project.E006"),
        ("AI_TIMEOUT_SECONDS", 0, "project.E007"),
        ("QUEUE_URL", "carrier-pigeon://loft", "queueing.E001"),
        ("QUEUE_URL", "immediate://", "queueing.E002"),
        ("QUEUE_LEASE_SECONDS", 4, "queueing.E003"),
        ("QUEUE_DRAIN_SECONDS", -1, "queueing.E004"),
        ("SCHEDULER_INTERVAL_SECONDS", 0, "queueing.E005"),
        ("QUEUE_KEEP_SUCCEEDED_DAYS", 0, "queueing.E007"),
        ("QUEUE_KEEP_DEAD_DAYS", -1, "queueing.E007"),
    ],
)
def test_refused(settings: Settings, name: str, value: object, expected: str) -> None:
    setattr(settings, name, value)
    assert expected in found()


def test_on_ones_own_machine_a_short_key_and_debug_are_fine(settings: Settings) -> None:
    settings.PUBLIC_BASE_URL, settings.DEBUG, settings.SECRET_KEY = "http://127.0.0.1:8000", True, "dev"
    assert not found() & {"project.E001", "project.E002"}


@pytest.mark.parametrize(
    ("host", "public"), [("bot.example.com", True), ("10.0.0.1", True), ("localhost", False), ("[::1]", False)]
)
def test_who_can_reach_us(settings: Settings, host: str, public: bool) -> None:
    settings.PUBLIC_BASE_URL = f"https://{host}"
    assert checks.is_public() is public


@pytest.mark.django_db(transaction=True)  # inside a transaction SQLite keeps its mode
def test_sqlite_in_another_mode_is_refused() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    try:
        assert "project.E009" in found()
    finally:
        connection.close()


def test_sqlite_on_a_network_disk_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "file_system_of", lambda path: "nfs4")
    assert "project.E011" in found()


def test_the_file_system_of_a_path_is_that_of_its_nearest_mount() -> None:
    assert checks.file_system_of(Path("/proc/self/status")) == "proc"


@pytest.mark.parametrize(
    ("version", "warned"),
    [((3, 40, 1), True), ((3, 44, 6), False), ((3, 45, 0), True), ((3, 50, 7), False), ((3, 51, 3), False)],
)
def test_sqlite_builds_with_the_wal_reset_defect(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], warned: bool
) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", version)
    assert ("project.W001" in {message.id for message in run_checks(databases=["default"])}) is warned


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "gunicorn", "-c", "python:project.gunicorn", "project.wsgi"],
        ["manage.py", "rqworker"],
        ["manage.py", "rqscheduler"],
    ],
)
def test_no_process_starts_with_what_is_refused(process_env: dict[str, str], command: list[str]) -> None:
    env = process_env | {"QUEUE_URL": "immediate://", "PORT": "0"}
    result = subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "queueing.E002" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_database_that_cannot_be_opened_is_one_line(
    manage: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    result = manage("check", DATABASE_URL="sqlite:////nowhere/at/all.sqlite3")
    assert "project.E008" in result.stderr
    assert "Traceback" not in result.stderr
