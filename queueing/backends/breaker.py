"""A carrier that is away must not make every enqueue wait for it: after one failure it is left alone for a while."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 15.0
SLICE_SECONDS = 0.1  # how soon a waiting listener notices that it is to end


class Breaker:
    """Closed while the carrier works; open, and every call spared, for a growing time after each failure.

    Safe among threads without a lock: at worst, two of them try the carrier at once.
    """

    def __init__(self, carrier: str) -> None:
        """
        Args:
            carrier: what the log calls it.
        """
        self.carrier = carrier
        self._seconds = 0.0
        self._open_until = 0.0

    def allows(self) -> bool:
        """Whether the carrier should be tried now. While it is failing, one caller at a time is sent to see."""
        now = time.monotonic()
        if now < self._open_until:
            return False
        if self._seconds:
            self._open_until = now + self._seconds
        return True

    def failed(self, error: BaseException) -> None:
        """The carrier did not answer: leave it alone, each time a little longer."""
        if not self._seconds:
            logger.warning("%s is away: %s; the workers find the jobs by themselves", self.carrier, named(error))
        self._seconds = min(self._seconds * 2 or FIRST_SECONDS, LONGEST_SECONDS)
        self._open_until = time.monotonic() + self._seconds

    def succeeded(self) -> None:
        """The carrier answered."""
        if self._seconds:
            logger.warning("%s is back", self.carrier)
            self._seconds = self._open_until = 0.0


class Patience:
    """How a listener waits for a carrier that is away: longer from time to time, with jitter, and ready to end."""

    def __init__(self, carrier: str, *, until: Callable[[], bool], longest: float = 5.0) -> None:
        """
        Args:
            until: says that the listener is to end.
            longest: seconds between two tries, at most.
        """
        self.carrier = carrier
        self.until = until
        self.longest = longest
        self._seconds = 0.0

    def wait(self, error: BaseException) -> None:
        """The carrier failed: return when it should be tried again, or soon after `until` says so."""
        if not self._seconds:
            logger.warning("%s is away: %s", self.carrier, named(error))
        self._seconds = min(self._seconds * 2 or 0.1, self.longest)
        end = time.monotonic() + self._seconds * (0.5 + random.random() / 2)  # noqa: S311  (jitter)
        while time.monotonic() < end and not self.until():
            time.sleep(SLICE_SECONDS)

    def restored(self) -> None:
        """The carrier answered."""
        if self._seconds:
            logger.warning("%s is back", self.carrier)
            self._seconds = 0.0


def named(error: BaseException) -> str:
    """The error's class alone: its text may hold an address with a password."""
    return type(error).__name__
