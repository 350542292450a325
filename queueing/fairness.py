"""Which tenants a claim takes from, and how many jobs of each: nobody waits behind another's backlog.

A backlog costs one look at an index, however long it is: the claim asks for the tenants that have ready jobs, not for
their jobs, and takes turns among them. That is deficit round robin with jobs of one size (Shreedhar and Varghese,
"Efficient Fair Queuing Using Deficit Round Robin", SIGCOMM 1995).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import connection

MAX_TENANTS = 50  # that one look names; the next look goes on behind them
LOWEST_PRIORITY = -100

_READY = "status = 'ready' AND NOT suspect AND queue_name = %s"
_FIRST = f"SELECT fairness_key FROM queueing_job WHERE {_READY}"  # noqa: S608
# The first of an ordered look, not min(): a planner without statistics expects one row, and then reads all of them.
_TENANTS = f"""
    WITH RECURSIVE tenant(name, number) AS (
        SELECT ({_FIRST} AND fairness_key >= %s ORDER BY fairness_key LIMIT 1), 1
        UNION ALL
        SELECT ({_FIRST} AND fairness_key > tenant.name ORDER BY fairness_key LIMIT 1), number + 1
        FROM tenant WHERE tenant.name IS NOT NULL AND number < {MAX_TENANTS}
    )
    SELECT name, (
        SELECT priority FROM queueing_job WHERE {_READY} AND fairness_key = tenant.name ORDER BY priority DESC LIMIT 1
    )
    FROM tenant WHERE name IS NOT NULL
"""  # noqa: S608  (every part is a constant of this file)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a claim one tenant gets. `lowest_priority` keeps it from overtaking what is urgent elsewhere."""

    fairness_key: str
    jobs: int
    lowest_priority: int


@dataclass(slots=True)
class Fairness:
    """A worker's memory of whose turn it is.

    Attributes:
        cap: how many jobs of one tenant may run in this worker at once; 0: as many as it has threads. Jobs without a
            fairness key belong to nobody and are not capped.
    """

    cap: int = 0
    _behind: dict[str, str] = field(default_factory=dict)  # by queue: the next look starts here

    def shares(self, queue_name: str, *, limit: int, running: Mapping[str, int]) -> list[Share]:
        """Divide `limit` jobs among the tenants that have ready ones: the most urgent first, those in turns.

        Args:
            running: how many jobs of each fairness key this worker runs now.
        """
        priorities = self._tenants(queue_name)
        room = {name: self.cap - running.get(name, 0) if self.cap and name else limit for name in priorities}
        heads = {name: priority for name, priority in priorities.items() if room[name] > 0}
        if not heads:
            return []
        top = max(heads.values())
        lowest = max((priority for priority in heads.values() if priority < top), default=LOWEST_PRIORITY)
        turns = deque(sorted((name for name in heads if heads[name] == top), key=lambda name: running.get(name, 0)))
        jobs: Counter[str] = Counter()
        while turns and jobs.total() < limit:
            name = turns.popleft()
            jobs[name] += 1
            if jobs[name] < room[name]:
                turns.append(name)
        return [Share(name, count, lowest) for name, count in jobs.items()]

    def _tenants(self, queue_name: str) -> dict[str, int]:
        """The tenants with ready jobs, each with the priority of its most urgent one."""
        behind = self._behind.pop(queue_name, "")
        found = _look(queue_name, behind) or (_look(queue_name, "") if behind else {})
        if len(found) == MAX_TENANTS:
            self._behind[queue_name] = max(found)
        return found


def _look(queue_name: str, first: str) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_TENANTS, [queue_name, first, queue_name, queue_name])
        return dict(cursor.fetchall())
