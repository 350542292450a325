"""`/healthz` asks nothing; `/readyz` names what is wrong, soon, and tells a stranger nothing else."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from channels_twilio.models import TwilioAccount
from conversations.models import Workspace
from queueing.models import Worker
from tests.conftest import ROOT

ASK = """
import django, json, sys, time
django.setup()
from django.test import Client
started = time.monotonic()
response = Client(headers={"host": "localhost"}).get(sys.argv[1])
print(json.dumps([response.status_code, response.json(), time.monotonic() - started]))
"""


def ask(path: str, env: dict[str, str]) -> tuple[int, dict[str, object], float]:
    """Ask a process of its own, with `env`: the status, the answer, and the seconds that it took."""
    command = [sys.executable, "-c", ASK, path]
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
    status, answer, seconds = json.loads(result.stdout)
    return status, answer, seconds


@pytest.mark.django_db
def test_ready_with_the_number_of_live_workers(client: Client) -> None:
    now = timezone.now()
    for worker_id, seen_at in (("alive", now), ("gone", now - timedelta(minutes=5))):
        Worker.objects.create(worker_id=worker_id, queues="default", threads=1, started_at=now, seen_at=seen_at)
    response = client.get("/readyz", headers={"host": "localhost"})
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "database": "ok",
        "migrations": "ok",
        "tokens": "ok",
        "queue": "ok",
        "workers": 1,
    }


def test_health_asks_no_database(client: Client) -> None:  # pytest-django would refuse a query here
    assert client.get("/healthz", headers={"host": "localhost"}).json() == {"alive": True}


@pytest.mark.django_db(transaction=True)
def test_not_ready_while_a_migration_is_missing(client: Client) -> None:
    call_command("migrate", "sessions", "zero", verbosity=0)
    try:
        response = client.get("/readyz", headers={"host": "localhost"})
    finally:
        call_command("migrate", "sessions", verbosity=0)
    assert response.status_code == 503
    assert response.json()["migrations"] == "NotReady: 1 to apply, from sessions.0001_initial; run manage.py setup"


@pytest.mark.django_db
def test_not_ready_with_a_secret_key_that_opens_no_token(client: Client, settings: Settings) -> None:
    workspace = Workspace.objects.create(name="Clinic", slug="clinic")
    TwilioAccount.objects.create(workspace=workspace, account_sid="AC" + "1" * 32, auth_token="a token")
    settings.SECRET_KEY = "a key of another machine, longer than fifty characters, as it should be"
    response = client.get("/readyz", headers={"host": "localhost"})
    assert response.status_code == 503
    assert "SECRET_KEY opens no Twilio account's token" in response.json()["tokens"]
    assert "a token" not in response.content.decode()


def test_not_ready_without_the_sqlite_file(process_env: dict[str, str]) -> None:
    status, answer, _ = ask("/readyz", process_env | {"DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3"})
    assert (status, answer) == (503, {"ready": False, "database": "OperationalError"})


def test_a_postgresql_that_never_answers_is_told_within_3_seconds_and_without_its_password(
    process_env: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgres://recado:hunter2@127.0.0.1:{silent.getsockname()[1]}/recado"
        status, answer, seconds = ask("/readyz", process_env | {"DATABASE_URL": url})
    assert status == 503
    assert "hunter2" not in json.dumps(answer)
    assert answer["database"] in ("OperationalError", "PoolTimeout")
    assert seconds < 3
