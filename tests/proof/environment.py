"""What the processes of the proof are configured with. Set before Django loads."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from tests.stand_ins.servers import free_port

from .backends import Backend

ROOT = Path(__file__).resolve().parents[2]


def prepare_environment(backend: Backend, directory: Path, listener: socket.socket) -> None:
    """Nothing of a developer's `.env` counts."""
    for name in re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE):
        os.environ.pop(name, None)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "tests.proof.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "a key of the proof, longer than fifty characters, and of no use elsewhere",
            "VAR_DIR": str(directory),
            "PORT": str(listener.getsockname()[1]),
            "TWIN_PORT": str(free_port()),
            "SANDBOX": "1",
            "REPLY_DEBOUNCE_SECONDS": "0.1",
            "QUEUE_LEASE_SECONDS": "1.5",
            "QUEUE_DRAIN_SECONDS": "1",
            "SCHEDULER_INTERVAL_SECONDS": "1",
            **backend.env,
        }
    )
