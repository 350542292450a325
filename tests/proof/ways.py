"""The ways of a message whose every crash point is tried: what happens, and which processes are killed on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils import timezone

from channels_twilio.models import TwilioAccount
from channels_twilio.reconcile import reconcile_inbound

from .evidence import Evidence
from .mutants import Mutant
from .points import Fatal
from .stage import LONG, WORDS, Run, Stage

PERIODIC = {"process_idle", "process_expired"}


@dataclass(frozen=True, slots=True)
class Way:
    """
    Attributes:
        act: what happens once the services run.
        targets: who is killed: each of their points is tried. Their `nth` and `side` are filled in.
        first: who is killed before that, so that the target is who carries on.
        faults: what Twilio does wrong meanwhile.
        done: when everything has happened that is to happen.
    """

    name: str
    act: Callable[[Stage, Run], None]
    targets: tuple[Fatal, ...]
    first: tuple[Fatal, ...] = ()
    faults: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    services: tuple[str, ...] = ("web", "worker")
    done: Callable[[Evidence], bool] | None = None

    def play(
        self, stage: Stage, fatals: tuple[Fatal, ...] = (), *, mutant: Mutant | None = None, within: float = 20
    ) -> Evidence:
        return stage.play(
            self.act,
            faults=self.faults,
            fatals=(*self.first, *fatals),
            services=self.services,
            done=self.done,
            mutant=mutant,
            within=within,
        )


def one_message(stage: Stage, run: Run) -> None:
    stage.twin.write(run.contact, WORDS[0])


def two_messages(stage: Stage, run: Run) -> None:
    for word in WORDS[:2]:
        stage.twin.write(run.contact, word)


def a_long_answer(stage: Stage, run: Run) -> None:
    """Of two parts, each with a send of its own."""
    stage.twin.write(run.contact, LONG)


def a_webhook_is_lost(stage: Stage, run: Run) -> None:
    """Twilio's list has the message, and nothing else has. Other runs' messages, which it has as well, are past."""

    def look() -> None:
        TwilioAccount.objects.update(reconciled_until=began)
        reconcile_inbound.enqueue()

    time.sleep(1 - timezone.now().microsecond / 1e6)  # Twilio's times are cut to whole seconds
    began = timezone.now().replace(microsecond=0)
    stage.twin.write(run.contact, WORDS[0])
    stage.in_installation(run, look)


def nobody_writes(stage: Stage, run: Run) -> None:
    """The scheduler alone."""


def is_found(evidence: Evidence) -> bool:
    """What no webhook brought is here, and its answer's news are out."""
    return (
        evidence.is_at_rest()
        and bool(evidence.inbound)
        and all(evidence.news_are_out(message) for message in evidence.accepted)
    )


def has_run_twice(evidence: Evidence) -> bool:
    """Each periodic task at two points of its grid."""
    ended = [job["task"] for job in evidence.jobs if job["scheduled_for"] and job["status"] == "succeeded"]
    return evidence.is_at_rest() and all(ended.count(task) >= 2 for task in PERIODIC)


WEB = Fatal("web", 0, "")
WORKER = Fatal("worker", 0, "")
MACHINE = replace(WORKER, machine=True)
HEARTBEAT = replace(WORKER, heartbeat=True)
SECOND = replace(WORKER, life=1)
ALONE = Fatal("alone", 0, "")
SCHEDULER = Fatal("scheduler", 0, "")

CLAIMED = Fatal("worker", 1, "after", match="commit update job")
INTENT = Fatal("worker", 1, "after", match="commit update message")
POSTED = Fatal("worker", 1, "after", match="POST Messages.json")

BUSY = {"match": {"nth": 1}, "fault": "429", "args": {"retry_after": 0}}
LOST = {"fault": "inbound_lost"}
UNREACHABLE = {"match": {"nth": 1}, "fault": "undelivered", "args": {"code": 30003}}  # and reached the next time
OUTSIDE_WINDOW = {"fault": "failed", "args": {"code": 63016}}
EARLY = {"fault": "callback_early"}
SENT_UNHEARD = {"match": {"nth": 1}, "fault": "drop_after_accept"}
NOT_SENT_UNHEARD = {"match": {"nth": 1}, "fault": "500_not_executed"}

WAYS = (
    Way("answer", one_message, targets=(WEB, WORKER, HEARTBEAT)),
    Way("burst", two_messages, targets=(WEB, WORKER)),
    # The parent dies as well: nobody knows, and the lease must run out.
    Way("lost machine", one_message, targets=(MACHINE,)),
    # The first attempt died; the second is killed at its every point, and who took it back as well.
    Way("claimed, then again", one_message, targets=(SECOND, ALONE), first=(CLAIMED,)),
    Way("sent, then again", one_message, targets=(SECOND, ALONE), first=(POSTED,)),
    Way("intended, then again", one_message, targets=(ALONE,), first=(INTENT,)),
    Way("retry", one_message, targets=(WORKER,), faults=(BUSY,)),
    Way("unknown, sent", one_message, targets=(WORKER,), faults=(SENT_UNHEARD,)),
    Way("unknown, not sent", one_message, targets=(WORKER,), faults=(NOT_SENT_UNHEARD,)),
    Way("two parts", a_long_answer, targets=(WORKER,)),
    # Twilio's callbacks: before our own commit of the send, and with errors that have effects.
    Way("early news", one_message, targets=(WEB, WORKER), faults=(EARLY,)),
    Way("window closed", one_message, targets=(WEB, WORKER), faults=(OUTSIDE_WINDOW,)),
    Way("unreachable, sent again", one_message, targets=(WEB, WORKER), faults=(UNREACHABLE,)),
    Way("found in the list", a_webhook_is_lost, targets=(WORKER,), faults=(LOST,), done=is_found),
    Way("periodic", nobody_writes, targets=(SCHEDULER, WORKER), services=("scheduler", "worker"), done=has_run_twice),
)
