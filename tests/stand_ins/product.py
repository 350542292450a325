"""The whole product as its user runs it: web, worker and scheduler as processes, with the twin for Twilio."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from .judge import complaints
from .twin import ROOT, TwinProcess, eventually

BIN = Path(sys.executable).parent
COMMANDS = {
    "web": [str(BIN / "gunicorn"), "-c", "python:project.gunicorn", "project.wsgi"],
    "worker": [sys.executable, "manage.py", "rqworker", "--threads", "8"],
    "scheduler": [sys.executable, "manage.py", "rqscheduler"],
}


class Product:
    """Processes by name, which start, are killed and start again on the same files. Ends everything it started.

    Raises AssertionError in the end when Twilio would not have understood what they asked of the twin.

    Args:
        directory: where database, journal and logs are.
        env: what this installation sets; short times are set already.
    """

    def __init__(self, directory: Path, **env: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.env = os.environ | {
            "VAR_DIR": str(directory),
            "DATABASE_URL": f"sqlite:///{directory}/recado.sqlite3",
            "SANDBOX": "1",
            "PORT": str(self.port),
            "PUBLIC_BASE_URL": self.base_url,
            "WEB_CONCURRENCY": "1",
            "REPLY_DEBOUNCE_SECONDS": "0.5",
            "QUEUE_LEASE_SECONDS": "5",
            "SCHEDULER_INTERVAL_SECONDS": "1",
            **env,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.twin: TwinProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as ends:  # all of them, also when one of them raises
            if self.twin and self.twin.process.poll() is None:
                ends.callback(self.twin.stop)
                ends.callback(self._judge_requests)
            for name in self.processes:
                ends.callback(self.stop, name)

    def setup(self) -> None:
        subprocess.run([sys.executable, "manage.py", "setup"], cwd=ROOT, env=self.env, check=True, capture_output=True)

    def start_twin(self, **options: Any) -> TwinProcess:
        self.twin = TwinProcess(
            public_base_url=self.base_url, journal=self.directory / "twin.sqlite3", env=self.env, **options
        )
        self.env["TWILIO_API_BASE_URL"] = self.twin.base_url
        return self.twin

    def start(self, *names: str) -> None:
        """Start `web`, `worker` or `scheduler`; returns when a web process answers."""
        for name in names:
            with self.log(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    COMMANDS[name], cwd=ROOT, env=self.env, stdout=log, stderr=log, start_new_session=True
                )
        if "web" in names:
            eventually(self._answers, within=20)

    @property
    def is_ready(self) -> bool:
        """Whether web finds everything that it needs."""
        return httpx.get(f"{self.base_url}/readyz", timeout=5, trust_env=False).is_success

    def kill(self, *names: str) -> None:
        """SIGKILL the process with all its children, as a lost machine would."""
        for name in names:
            process = self.processes.pop(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM, and wait. Returns the exit code. What does not end in time is killed."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            return process.wait(timeout=15)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def children(self, name: str) -> list[int]:
        """The pids of that process's children, for example of `rqworker`'s worker."""
        pid = self.processes[name].pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database holds, read beside the product."""
        database = sqlite3.connect(f"file:{self.directory}/recado.sqlite3?mode=ro", uri=True, timeout=5)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _judge_requests(self) -> None:
        assert self.twin
        asked = [exchange for exchange in self.twin.journal()["exchanges"] if exchange["kind"] == "api"]
        assert [words for exchange in asked for words in _complaints(exchange)] == []

    def _answers(self) -> bool:
        if self.processes["web"].poll() is not None:
            raise RuntimeError(f"web did not start: {self.log('web').read_text()}")
        try:
            return httpx.get(f"{self.base_url}/healthz", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False


def _complaints(exchange: dict[str, Any]) -> list[str]:
    url, params = exchange["url"], urlencode([tuple(pair) for pair in exchange["params"]])
    if exchange["method"] == "GET":
        url, params = f"{url}?{params}", ""
    return complaints(exchange["method"], url, params, exchange["headers"].get("Authorization", ""))


def free_port() -> int:
    """A free port below those that the system hands out: nobody takes it by chance before it is used."""
    while True:
        port = random.randrange(30_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
