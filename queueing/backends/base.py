"""The backend port: what carries job ids from an enqueue to a worker that sleeps.

A backend is a doorbell, nothing more. The ledger decides what runs; a ring that is lost, doubled or late changes no
result, because every worker also looks at the ledger by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import SplitResult


class Backend(ABC):
    """Chosen by the scheme of `QUEUE_URL`, which it is made with."""

    #: enqueued jobs are executed by `rqworker`, not at once in the process that enqueues
    runs_in_worker: bool = True

    def __init__(self, url: SplitResult) -> None:
        self.url = url

    @abstractmethod
    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        """Wake a worker of `queue_name`: these jobs are ready, or will come due. Called after the commit.

        Takes 0.2 s at most, and never raises for a carrier that is away.
        """

    @abstractmethod
    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        """The main thread of a worker process: call `wake` at every ring, return soon after `until` says so.

        A carrier that is away is waited for: this never raises for it.
        """

    @abstractmethod
    def check(self) -> None:
        """Raises BackendUnavailable, with what to do about it, when rings cannot be carried now."""

    def show_schedule(self, points: Mapping[str, datetime]) -> None:  # noqa: B027  (most carriers show nothing)
        """The scheduler's turn is over: these tasks come next, and when. For a carrier with screens of its own.

        Takes 0.2 s at most, and never raises for a carrier that is away.
        """
