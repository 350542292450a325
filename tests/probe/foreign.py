"""Tasks of an app that knows nothing of this queue: declared with Django's own `@task`, and not in a `tasks.py`."""

from __future__ import annotations

import os
from typing import Any

from django_tasks import TaskContext, task

from .tasks import said, say


@task
def add(one: int, two: int = 2) -> int:
    return one + two


@task
async def add_later(one: int, two: int) -> int:
    return one + two


@task(priority=10, queue_name="maintenance")
def urgent() -> None:
    """Says nothing."""


@task(takes_context=True)
def who(context: TaskContext, *, greeting: str) -> dict[str, Any]:
    return {"greeting": greeting, "id": context.task_result.id, "attempt": context.attempt}


@task
def fail_until(word: str) -> str:
    """Fails once, until the word has been said."""
    if not said(word):
        say(word)
        raise ConnectionError("not yet")
    return "at last"


@task(backend="once")
def leave() -> None:
    raise SystemExit("without a word")


@task
def answer_strangely(kind: str) -> object:
    return {"function": leave, "nul": "a \x00 in it", "long": "x" * 70_000, "nan": float("nan")}[kind]


@task
def die_with_its_process(word: str) -> str:
    """Kills its worker the first time."""
    if not said(word):
        say(word)
        os._exit(11)
    return "alive"
