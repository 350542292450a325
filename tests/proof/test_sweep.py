"""A part of what `make proof` runs in full: processes are killed at some of their points, chosen by chance."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .backends import BACKENDS
from .environment import ROOT

SEED = os.environ.get("PROOF_SEED", "1")


@pytest.mark.journey
@pytest.mark.parametrize("backend", BACKENDS)
def test_whoever_is_killed_wherever_everything_is_accounted_for(backend: str) -> None:
    """Another seed (`PROOF_SEED`) chooses others."""
    command = [sys.executable, "-m", "tests.proof", "--backend", backend, "--sample", "6", "--seed", SEED]
    result = subprocess.run([*command, "--seconds", "12", "-v"], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stdout + result.stderr
