"""`redis://…` and `rediss://…`: rings are RQ jobs, and RQ's tools and django-rq's pages show them and who listens."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from urllib.parse import SplitResult

from django.core.exceptions import ImproperlyConfigured
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from queueing.errors import BackendUnavailable

from .base import Backend
from .breaker import Breaker, Patience, named
from .rq_rings import RingQueue
from .rq_schedule import RingScheduler
from .rq_worker import RingWorker

RING_SECONDS = 0.2  # for whoever has enqueued: there is no second try
LISTEN_SECONDS = 0.5
LULL_SECONDS = 0.1  # without a ring: time for RQ's books
PAGE = 10  # rings that the books wait for without a lull
# Between two rings the worker that was woken has the interpreter, and whoever enqueues the database, to themselves.
# Where rings come one upon the other, the next one stands for more letters.
PACE_SECONDS = 0.005
SLOWEST_PACE_SECONDS = 0.02


class RedisBackend(Backend):
    """One ring may stand for many letters, and rings cost nobody but an idle worker."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__(url)
        try:
            self.carrier = f"Redis at {url.hostname}:{url.port or 6379}"
            self.redis = self._connect(RING_SECONDS)
        except ValueError as error:
            raise ImproperlyConfigured("QUEUE_URL must be like redis://user:password@host:6379/0") from error
        self.breaker = Breaker(self.carrier)

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        self._try(lambda: RingQueue(queue_name, connection=self.redis).ring(job_ids[0]))

    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        name = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"  # fresh: RQ refuses one it knows
        redis = self._connect(1.0)
        patience = Patience(self.carrier, until=until)
        worker: RingWorker | None = None
        pace = PACE_SECONDS
        while not until():
            try:
                worker = worker or RingWorker(queue_names, name=name, connection=redis)
                worker.report()
                pending = len(worker.heard) + worker.refused
                asked = time.monotonic()
                came = worker.hear(LULL_SECONDS if pending else LISTEN_SECONDS)
                if came:
                    wake()
                    alone = time.monotonic() - asked > PACE_SECONDS
                    pace = PACE_SECONDS if alone else min(pace * 2, SLOWEST_PACE_SECONDS)
                    time.sleep(pace)
                if pending >= PAGE or (pending and not came):
                    worker.enter()
                patience.restored()
            except RedisError as error:
                worker = None
                patience.wait(error)
        if worker:
            with suppress(RedisError):  # then RQ forgets it after a minute
                worker.register_death()

    def show_schedule(self, points: Mapping[str, datetime]) -> None:
        self._try(lambda: RingScheduler(connection=self.redis).show(points))

    def check(self) -> None:
        try:
            self.redis.ping()
        except RedisError as error:
            raise BackendUnavailable(
                f"{self.carrier} does not answer ({named(error)}); start it, or correct QUEUE_URL"
            ) from error

    def _try(self, exchange: Callable[[], None]) -> None:
        """One attempt, unless the last ones have failed."""
        if not self.breaker.allows():
            return
        try:
            exchange()
        except RedisError as error:
            self.breaker.failed(error)
        else:
            self.breaker.succeeded()

    def _connect(self, seconds: float) -> Redis:
        """A client that gives up at once: who may wait says so himself."""
        return Redis.from_url(
            self.url.geturl(), socket_connect_timeout=seconds, socket_timeout=seconds, retry=Retry(NoBackoff(), 0)
        )
