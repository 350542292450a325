from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture
def manage(process_env: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `manage.py` as a user does. Keyword arguments are environment variables; None takes one away."""

    def run(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in (process_env | changes).items() if value is not None}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"
