"""How often something may happen, in all and from one address. Counted in this process alone: no store is asked."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

MAX_ADDRESSES = 4096  # remembered at once; who comes from more of them is held by the limit in all


@dataclass(slots=True)
class Bucket:
    """Holds what may happen at once, and fills up again within a minute."""

    capacity: float
    level: float
    filled_at: float  # on the monotonic clock

    def wait(self, now: float) -> float:
        """Seconds until something may happen; 0 where it may now."""
        self.level = min(self.capacity, self.level + (now - self.filled_at) * self.capacity / 60)
        self.filled_at = now
        return max(0.0, 1 - self.level) * 60 / self.capacity


@dataclass
class RateLimit:
    """Of something that happens to addresses, per minute. May be shared by threads.

    The address is the connection's: headers that a proxy may have set can be set by anyone. Behind a proxy, all its
    clients share one.
    """

    per_address: float
    overall: float
    _addresses: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._all = Bucket(self.overall, self.overall, time.monotonic())

    def take(self, address: str) -> float:
        """0 where it may happen now, which is counted; else the seconds after which it may.

        What one address is denied takes nothing from the others.
        """
        now = time.monotonic()
        with self._lock:
            bucket = self._addresses.setdefault(address, Bucket(self.per_address, self.per_address, now))
            self._addresses.move_to_end(address)
            if len(self._addresses) > MAX_ADDRESSES:
                self._addresses.popitem(last=False)
            wait = max(bucket.wait(now), self._all.wait(now))
            if not wait:
                bucket.level -= 1
                self._all.level -= 1
            return wait

    def reset(self) -> None:
        """Forget what has happened."""
        with self._lock:
            self._addresses.clear()
            self.__post_init__()
