"""Jobs to try the queue with, and a worker's hands: claim and look again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from queueing.claim import claim
from queueing.clock import database_now
from queueing.models import Job

Claim = Callable[..., list[Job]]


@pytest.fixture
def take() -> Claim:
    """Claims as a worker does, in the lanes `default` and `maintenance`."""

    def take(limit: int = 10, **options: Any) -> list[Job]:
        defaults = {
            "queue_names": ["default", "maintenance"],
            "worker_id": "w1",
            "lease": timedelta(minutes=1),
            "now": database_now(),
        }
        return claim(limit=limit, **defaults | options)

    return take


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the probe's handlers say."""
    path = tmp_path / "journal"
    path.touch()
    monkeypatch.setenv("PROBE_JOURNAL", str(path))
    return path
