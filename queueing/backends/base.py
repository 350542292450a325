"""The backend port: what carries job ids from an enqueue to a worker that sleeps.

A backend is a doorbell, nothing more. The ledger decides what runs; a ring that is lost, doubled or late changes no result,
because every worker also looks at the ledger by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from urllib.parse import SplitResult


class Doorbell(ABC):
    """A worker's ear. Used by one thread."""

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """Sleep until a ring comes, `timeout` seconds at most. Returns whether there may be work."""

    def close(self) -> None:
        """Give back what the doorbell holds."""


class Backend(ABC):
    """Chosen by the scheme of `QUEUE_URL`, which it is made with."""

    #: enqueued jobs are executed by `rqworker`, not at once in the process that enqueues
    runs_in_worker: bool = True

    def __init__(self, url: SplitResult) -> None:
        self.url = url

    @abstractmethod
    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        """Wake a worker of `queue_name`. Called after the commit; takes 0.2 s at most and never raises for a backend that is away."""

    @abstractmethod
    def doorbell(self, queue_names: Sequence[str]) -> Doorbell:
        """An ear for rings of these queues."""

    @abstractmethod
    def check(self) -> None:
        """Raises BackendUnavailable, with what to do about it, when rings cannot be carried now."""
