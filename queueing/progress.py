"""A bar on a terminal, for commands that take their time."""

from __future__ import annotations

from django.core.management.base import OutputWrapper

BAR = 40  # characters


class Progress:
    """One line, written over and over; nothing where nobody watches."""

    def __init__(self, out: OutputWrapper, total: int) -> None:
        """
        Args:
            total: how much there is to do, in whatever is counted.
        """
        self.out = out
        self.total = total

    def show(self, done: int, words: str) -> None:
        """Say how far it has come."""
        if self.out.isatty():
            filled = BAR * min(done, self.total) // max(self.total, 1)
            self.out.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {words}", ending="")
            self.out.flush()

    def end(self) -> None:
        """Leave the bar where it is, and go on below it."""
        if self.out.isatty():
            self.out.write("")
