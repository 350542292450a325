"""`manage.py queue_drill`, as an operator runs it: it passes on the product, and fails where the fence is missing."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from queueing.models import Job
from tests.conftest import ROOT

pytestmark = pytest.mark.journey


@pytest.fixture
def env(process_env: dict[str, str]) -> dict[str, str]:
    env = process_env | {"QUEUE_LEASE_SECONDS": "1.5", "SANDBOX": "1", "PUBLIC_BASE_URL": ""}
    subprocess.run([sys.executable, "manage.py", "migrate"], cwd=ROOT, env=env, check=True, capture_output=True)
    return env


def drill(env: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "queue_drill", "--jobs", "90", "--kills", "1"]
    return subprocess.run(command, cwd=ROOT, env=env | more, capture_output=True, text=True, timeout=100)


def figure(name: str, output: str) -> float:
    found = re.search(rf"^{name}.*: ([\d.]+)$", output, re.MULTILINE)
    assert found, output
    return float(found[1])


def test_nothing_is_lost_or_done_twice_and_the_killed_ones_run_again_soon(env: dict[str, str], tmp_path: Path) -> None:
    result = drill(env)

    assert result.returncode == 0, result.stdout + result.stderr
    assert (figure("Lost", result.stdout), figure("Completed twice", result.stdout)) == (0, 0)
    assert figure("Jobs that a kill interrupted", result.stdout) > 0
    assert figure("Seconds until they ran again: longest", result.stdout) < 1.5 + 5
    assert rows(tmp_path) == 0


def test_it_fails_where_the_fence_is_missing(env: dict[str, str], tmp_path: Path) -> None:
    """By the worker that was frozen: what it still writes when it wakes up is kept."""
    result = drill(env, DJANGO_SETTINGS_MODULE="tests.proof.settings", PROOF_MUTANT="no fence at all")

    assert result.returncode == 1, result.stdout + result.stderr
    assert figure("Completed twice", result.stdout) > 0
    assert rows(tmp_path) == 0


def test_it_says_why_it_cannot_start(env: dict[str, str]) -> None:
    result = drill(env, DATABASE_URL="postgres://nobody@127.0.0.1:9/nowhere")

    assert result.returncode == 1
    assert "The drill cannot start" in result.stderr


def rows(directory: Path) -> int:
    """How many jobs it has left behind."""
    database = sqlite3.connect(directory / "recado.sqlite3")
    [(count,)] = database.execute(f"SELECT count(*) FROM {Job._meta.db_table}").fetchall()
    database.close()
    return int(count)
