"""Tasks of every temper. Each says in a journal, the file named by `PROBE_JOURNAL`, what was done in which process.

A handler that waits for a word goes on when the test has written it (see `say`).
"""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

from django.apps import apps

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Defer, Discard, Retry
from queueing.periodic import periodic
from queueing.tasks import task

AT_ONCE = Backoff(base=timedelta(0))


def journal() -> Path:
    return Path(os.environ["PROBE_JOURNAL"])


def say(word: str) -> None:
    """One line, whole: short appends to one file do not mix."""
    with journal().open("a") as file:
        file.write(f"{os.getpid()} {word}\n")


def said(word: str) -> bool:
    return journal().exists() and any(line.split()[1] == word for line in journal().read_text().splitlines())


@task
def nothing() -> None:
    """Succeeds at once."""


@task(queue_name="maintenance")
def tidy() -> None:
    """Waits in another lane."""


@task
def note(word: str, more: object = None) -> None:
    say(word)


@task
def sleep(word: str, seconds: float) -> None:
    say(f"{word}:starts")
    time.sleep(seconds)
    say(f"{word}:ends")


@task(takes_context=True)
def wait(context: JobContext, word: str, wanted: str) -> None:
    """Until `wanted` is said, looking at every checkpoint whether it is to stop."""
    say(f"{word}:starts")
    while not said(wanted):
        context.checkpoint()
        time.sleep(0.02)
    say(f"{word}:ends")


@task(takes_context=True, timeout=timedelta(seconds=60))
def complete_late(context: JobContext, word: str, wanted: str) -> None:
    """Waits without a checkpoint, then enqueues `note` in the transaction that ends the job."""
    say(f"{word}:starts")
    while not said(wanted):
        time.sleep(0.02)
    try:
        with context.complete():
            note.enqueue(word=f"{word}:kept")
    finally:
        say(f"{word}:ends")


@task
def exit_process(word: str) -> None:
    """Takes its process with it."""
    say(word)
    os._exit(11)


@task(timeout=timedelta(seconds=0.2), max_attempts=1)
def hang(word: str) -> None:
    """Never returns, and never looks."""
    say(word)
    threading.Event().wait()


@task(max_attempts=3, backoff=AT_ONCE, permanent=(LookupError,))
def fail(word: str = "", error: str = "ValueError", after: float | None = None) -> None:
    """Raises what it is told to."""
    if error == "Retry":
        raise Retry(word, after=None if after is None else timedelta(seconds=after))
    if error == "Defer":
        raise Defer(word, after=timedelta(seconds=after or 0))
    raise {"ValueError": ValueError, "KeyError": KeyError, "Discard": Discard, "SystemExit": SystemExit}[error](word)


@task(max_attempts=1, on_dead="bury")
def mortal(word: str, more: object = None) -> None:
    """Dies of its first failure, and leaves word."""
    raise ValueError(word)


@task
def bury(word: str) -> None:
    say(f"{word}:buried")


@task(max_age=timedelta(hours=1), backoff=AT_ONCE)
def perishable() -> None:
    """Is worth nothing after an hour."""
    raise ValueError("not yet")


@periodic(cron="30 2 * * *", time_zone="Europe/Berlin")
@task
def nightly() -> None:
    """Comes by the clock."""


_hoard: list[bytes] = []


@task
def hoard(word: str, mib: int) -> None:
    """Takes memory and never gives it back."""
    _hoard.append(b"\1" * (mib << 20))
    say(word)


@task(max_attempts=1)
def quote(message_id: int) -> None:
    """Fails, and says of whom and what."""
    message = apps.get_model("conversations.Message").objects.select_related("conversation__contact").get(pk=message_id)
    contact = message.conversation.contact
    try:
        int(message.text)
    except ValueError as error:
        raise LookupError(f"{contact.name} at {contact.address} wrote {message.text!r}, which is no number") from error
