"""The proof sees what it is there to see: each broken product is caught, and the same scenario acquits the real one."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from .environment import ROOT
from .trials import TRIALS


@cache
def tried(backend: str) -> dict[str, dict[str, list[str]]]:
    """What came of every trial on that backend; played once, in one process."""
    command = [sys.executable, "-m", "tests.proof", "--backend", backend, "--mutants", "--json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stdout + result.stderr
    return {verdict["way"]: verdict for verdict in map(json.loads, result.stdout.splitlines())}


@pytest.mark.journey
@pytest.mark.parametrize(
    ("backend", "mutant"),
    [(backend, trial.mutant) for backend in ("sqlite", "postgresql") for trial in TRIALS if backend in trial.backends],
)
def test_a_broken_product_is_caught(backend: str, mutant: str) -> None:
    verdicts = tried(backend)
    assert verdicts[f"without {mutant}"]["violations"] == []
    assert verdicts[f"with {mutant}"]["caught"]
