"""`spool:///directory`: rings are files in a directory. The smallest whole backend; see docs/backends.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from queueing.backends.base import Backend
from queueing.backends.breaker import Patience
from queueing.errors import BackendUnavailable

LOOK_SECONDS = 0.02


class SpoolBackend(Backend):
    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        try:
            Path(self.url.path, f"{queue_name}.{job_ids[0]}").touch()
        except OSError:
            return  # the worker's own look finds the jobs

    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        patience = Patience("the spool", until=until)
        while not until():
            try:
                rings = [path for path in Path(self.url.path).iterdir() if path.name.split(".")[0] in queue_names]
                for ring in rings:
                    ring.unlink(missing_ok=True)
            except OSError as error:
                patience.wait(error)
                continue
            patience.restored()
            if rings:
                wake()
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        if not Path(self.url.path).is_dir():
            raise BackendUnavailable(f"{self.url.path} is no directory: make it")
