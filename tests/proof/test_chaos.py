"""A short storm; `make proof` has longer ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .environment import ROOT

SEED = os.environ.get("PROOF_SEED", "1")


@pytest.mark.journey
def test_after_a_storm_everything_is_accounted_for() -> None:
    command = [sys.executable, "-m", "tests.proof", "--backend", "sqlite", "--storm", "4", "--seed", SEED, "-v"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=115)
    assert result.returncode == 0, result.stdout + result.stderr
