"""What a handler raises to say how its attempt ended, and what interrupts it. The docstring is the default message."""

from __future__ import annotations

from datetime import timedelta


class ForOperators:
    """Mixed into exceptions whose text is written for operators. It is kept and logged whole: it quotes nobody."""

    is_for_operators = True


class QueueError(ForOperators, Exception):
    """The queue was used wrongly."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UnknownTask(QueueError):
    """No task of this name is declared."""


class InvalidPayload(QueueError):
    """The payload is not JSON, or too large."""


class BackendUnavailable(QueueError):
    """The backend that carries the rings cannot be reached."""


class Retry(ForOperators, Exception):
    """The attempt failed; try again: after `after`, where the other side gave one (`Retry-After`), or the backoff."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Discard(ForOperators, Exception):
    """The job can never succeed: it is dead at once."""


class Defer(ForOperators, Exception):
    """Not now: run again after `after`. Nothing failed, so nothing is charged."""

    def __init__(self, reason: str, *, after: timedelta) -> None:
        super().__init__(reason)
        self.after = after


class Interrupted(ForOperators, BaseException):
    """The running job must stop. A BaseException, so that a handler's `except Exception` does not swallow it."""

    def __init__(self) -> None:
        super().__init__((type(self).__doc__ or "").strip())


class LeaseLost(Interrupted):
    """The job is no longer ours: its lease ran out, and nothing that this attempt still writes may count."""


class JobTimedOut(Interrupted):
    """The job ran longer than its task's timeout."""


class JobCancelled(Interrupted):
    """Someone cancelled the job while it ran."""


class Released(Interrupted):
    """The worker is shutting down and gives the job back."""
