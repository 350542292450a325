"""The delay before the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter: a random delay between zero and `base * 2**(failures - 1)`, at most `maximum`.

    Full jitter spreads a crowd of failures best (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015).
    """

    base: timedelta = timedelta(seconds=2)
    maximum: timedelta = timedelta(minutes=10)

    def delay(self, failures: int) -> timedelta:
        """How long to wait after the `failures`-th failure (1 for the first)."""
        ceiling: timedelta = min(self.maximum, self.base * 2 ** min(failures - 1, 20))
        return ceiling * random.random()  # noqa: S311  (spreads load, guards nothing)
