"""Twilio's twin as a test sees it: a process of its own on a port of its own, with the journal that the test reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from django.conf import settings
from twilio.rest import Client

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT_SID, AUTH_TOKEN = settings.SANDBOX_ACCOUNT_SID, settings.SANDBOX_AUTH_TOKEN
WHATSAPP, SMS = settings.SANDBOX_FROM  # our own addresses

T = TypeVar("T")


class TwinProcess:
    """A running twin.

    Args:
        public_base_url: where it posts inbound webhooks (to `/webhooks/twilio/inbound/`).
        journal: its SQLite file; a twin started again with the same one goes on with it.
        port: 0 lets the system choose.
        pace: seconds between two steps of a sent message (sent, delivered, read).
        window_hours: in which free words reach a contact on WhatsApp after their last message; 0: always.
        faults: a fault script, see channels_twilio/sandbox/faults.py.
        options: further options of `manage.py twilio_twin`.
        env: further environment, for example where VAR_DIR is.
    """

    def __init__(
        self,
        *,
        public_base_url: str,
        journal: Path,
        port: int = 0,
        pace: float = 0.02,
        seed: int = 0,
        window_hours: float = 24,
        faults: list[dict[str, Any]] | None = None,
        options: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        self.environment = (env or {}) | {
            "SANDBOX": "1",
            "PUBLIC_BASE_URL": public_base_url,
        }
        arguments = ["--port", str(port), "--journal", str(journal), "--pace", str(pace), "--seed", str(seed)]
        arguments += ["--window-hours", str(window_hours)]
        self.log = journal.with_suffix(".log")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "manage.py",
                    "twilio_twin",
                    *arguments,
                    "--faults",
                    json.dumps(faults or []),
                    *options,
                ],
                cwd=ROOT,
                env=os.environ | self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        greeting = self.process.stdout.readline()
        if "http://" not in greeting:
            self.process.kill()
            self.process.communicate()
            raise RuntimeError(f"the twin did not start: {greeting}{self.log.read_text()}")
        self.base_url = greeting.split()[-1]
        self.port = int(self.base_url.rpartition(":")[2])
        self.http = httpx.Client(base_url=self.base_url, auth=(ACCOUNT_SID, AUTH_TOKEN), trust_env=False)

    @property
    def product_env(self) -> dict[str, str]:
        """The environment with which the product takes this twin for Twilio."""
        return self.environment | {"TWILIO_API_BASE_URL": self.base_url}

    def client(self) -> Client:
        """Twilio's own SDK, redirected as the product redirects it."""
        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = client.messaging.base_url = client.content.base_url = self.base_url
        return client

    def write(self, sender: str, body: str, **more: Any) -> str:
        """A contact writes. Returns the MessageSid. More: `to`, `name`, `media`, `params`."""
        response = self.http.post("/sandbox/messages", json={"from": sender, "body": body, **more})
        response.raise_for_status()
        sid: str = response.json()["sid"]
        return sid

    def play(self, faults: list[dict[str, Any]]) -> None:
        self.http.post("/sandbox/faults", json=faults).raise_for_status()

    def journal(self) -> dict[str, list[dict[str, Any]]]:
        """`messages` that it accepted and `exchanges`: every request both ways."""
        journal: dict[str, list[dict[str, Any]]] = self.http.get("/sandbox/journal").raise_for_status().json()
        return journal

    def sent(self, contact: str) -> list[dict[str, Any]]:
        """What the product sent to that contact, in order."""
        return [m for m in self.journal()["messages"] if m["recipient"] == contact and m["direction"] == "outbound-api"]

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End the process. Returns its exit code."""
        self.http.close()
        self.process.send_signal(by)
        self.process.communicate(timeout=10)
        return self.process.returncode


@contextmanager
def running_twin(**arguments: Any) -> Iterator[TwinProcess]:
    """A twin for the length of a block; it takes TwinProcess's arguments."""
    twin = TwinProcess(**arguments)
    try:
        yield twin
    finally:
        if twin.process.poll() is None:
            twin.stop()


def eventually(look: Callable[[], T], *, within: float = 5) -> T:
    """What `look` returns as soon as it is true. Raises AssertionError when it is not, within so many seconds."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.01)
    return found
