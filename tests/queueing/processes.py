"""The queue's processes as an operator runs them, on the database of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import OperationalError, connection, transaction

from tests.conftest import ROOT


def database_url() -> str:
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


class Process:
    """`manage.py` with these arguments, in a session of its own.

    Args:
        log: where it writes.
        env: what it is configured with.
    """

    def __init__(self, *arguments: str, log: Path, **env: Any) -> None:
        environment = os.environ | {"DATABASE_URL": database_url()} | {name: str(value) for name, value in env.items()}
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def children(self) -> list[int]:
        """The pids of its worker processes."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def open_files(self) -> list[str]:
        """What the process itself holds open."""
        return [os.readlink(each) for each in Path(f"/proc/{self.pid}/fd").iterdir()]

    def signal_all(self, number: signal.Signals) -> None:
        """To the process and its children, as a process manager does it."""
        os.killpg(self.pid, number)

    def wait(self, within: float = 10) -> int:
        """Its exit code."""
        return self._process.wait(timeout=within)

    def end(self) -> None:
        """Kill whatever is left of it."""
        with suppress(ProcessLookupError):
            self.signal_all(signal.SIGKILL)
        self._process.wait()


def freeze(pid: int) -> None:
    """SIGSTOP, at a moment when the process does not hold SQLite's lock."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with transaction.atomic():
                return
        except OperationalError:
            os.kill(pid, signal.SIGCONT)


def is_alive(pid: int) -> bool:
    """A zombie is not: what a test has orphaned may have nobody to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
