"""Pages of a table that may have millions of rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts `cap` rows at most and offers no page beyond them: a full count, or a far offset, reads the whole table.

    Older rows are found by filters and by search.
    """

    cap = 10_000
    template_name = "queueing/pagination.html"  # asked for by unfold's change list
    object_list: QuerySet[Any]

    @cached_property
    def _counted(self) -> int:
        """The number of rows; cap + 1 stands for any number above the cap."""
        return self.object_list.order_by()[: self.cap + 1].count()

    @property
    def count(self) -> int:
        return min(self._counted, self.cap)

    @property
    def has_more(self) -> bool:
        """There are rows beyond the last page."""
        return self._counted > self.cap
