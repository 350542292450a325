"""For each mutant the smallest scenario that shows it; played with the product as it is, it shows nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.probe import tasks as probe

from . import checker
from .checker import Rule
from .evidence import Evidence
from .points import Fatal
from .stage import WORDS, Run, Stage
from .tasks import write_late
from .ways import BUSY, CLAIMED, POSTED, Way, one_message

PATIENCE = 3.0  # seconds until a run is judged as it is: what a mutant has lost never comes


@dataclass(frozen=True, slots=True)
class Trial:
    """
    Attributes:
        mutant: its name in MUTANTS.
        breaks: the rule that it breaks; being caught by another one is not enough.
        backends: where it is played.
    """

    mutant: str
    breaks: Rule
    way: Way
    fatals: tuple[Fatal, ...] = ()
    backends: tuple[str, ...] = ("sqlite",)


def a_crowd_writes(stage: Stage, run: Run) -> None:
    """Many webhooks at once, each of them several times."""
    for word in WORDS[:4]:
        stage.twin.write(run.contact, word)


def four_of_one_key(stage: Stage, run: Run) -> None:
    def enqueue() -> None:
        for number in range(4):
            probe.sleep.using(ordering_key="k").enqueue(word=str(number), seconds=0.4)

    stage.in_installation(run, enqueue)


def a_worker_freezes(stage: Stage, run: Run) -> None:
    """Longer than its lease: another takes its job over, and both go on. The first one writes first."""
    stage.in_installation(run, lambda: write_late.enqueue() and None)
    _until(stage, run, lambda: probe.said("1:starts"))
    [worker] = [pid for pid, service in run.processes.items() if service == "worker"]
    os.killpg(worker, signal.SIGSTOP)
    while not stage.backend.is_writable(run.installation.database):  # frozen in the middle of a transaction
        os.killpg(worker, signal.SIGCONT)
        time.sleep(0.01)
        os.killpg(worker, signal.SIGSTOP)
        time.sleep(0.01)
    run.disturb(worker)
    stage.start(run, "second worker")
    _until(stage, run, lambda: probe.said("2:starts"))
    os.killpg(worker, signal.SIGCONT)
    probe.say("1:go")
    _until(stage, run, lambda: probe.said("1:ends"))
    time.sleep(0.1)
    probe.say("2:go")
    _until(stage, run, lambda: probe.said("2:ends"))


def a_second_worker_comes(stage: Stage, run: Run) -> None:
    stage.in_installation(run, lambda: probe.sleep.enqueue(word="job", seconds=1) and None)
    _until(stage, run, lambda: probe.said("job:starts"))
    stage.start(run, "second worker")


def _until(stage: Stage, run: Run, look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline, "the trial does not come about"
        stage.tend(run)
        time.sleep(0.01)


def jobs_have_ended(evidence: Evidence) -> bool:
    return bool(evidence.jobs) and evidence.is_at_rest()


COPIES = {"fault": "inbound_duplicated", "args": {"times": 5}}
LATE = {"fault": "callback_late", "args": {"seconds": 1}}  # or it tells in time that the message was sent
REORDERED = {"fault": "callback_reordered"}
ANSWERED = Fatal("web", 1, "after", match="answer inbound")
STORED = Fatal("web", 1, "after", match="insert message")
ANSWER_STORED = Fatal("worker", 1, "after", match="insert message")

_message = Way("a message", one_message, targets=())
_freeze = Way("a worker freezes", a_worker_freezes, targets=(), services=("worker",), done=jobs_have_ended)
_order = Way("four of one key", four_of_one_key, targets=(), services=("worker",), done=jobs_have_ended)
_clock = Way("a second worker", a_second_worker_comes, targets=(), services=("worker",), done=jobs_have_ended)

TRIALS = (
    Trial("no attempt fence", checker.only_the_last_attempt_writes, _freeze, backends=("sqlite", "postgresql")),
    Trial("no fence at all", checker.every_attempt_is_written_down, _freeze, backends=("sqlite", "postgresql")),
    Trial("no order", checker.one_at_a_time_and_the_oldest_first, _order, backends=("sqlite", "postgresql")),
    Trial("ring without row", checker.every_message_is_sent_once, _message, (ANSWER_STORED,)),
    Trial("enqueue outside the transaction", checker.every_inbound_message_has_its_account, _message, (STORED,)),
    Trial("answer before commit", checker.what_was_taken_is_stored_once, _message, (ANSWERED,)),
    Trial("swallowed error", checker.every_message_is_sent_once, Way("busy", one_message, targets=(), faults=(BUSY,))),
    Trial(
        "blind resend",
        checker.every_message_is_sent_once,
        Way("no news", one_message, targets=(), faults=(LATE,)),
        (POSTED,),
    ),
    Trial(
        "deferred begin",
        checker.what_was_taken_is_stored_once,
        Way("a crowd", a_crowd_writes, targets=(), faults=(COPIES,)),
    ),
    Trial("worker's clock", checker.no_living_worker_is_robbed, _clock, backends=("postgresql",)),
    Trial("no rescue by workers", checker.every_job_has_ended, _message, (CLAIMED,)),
    Trial(
        "late news wins", checker.no_news_is_forgotten, Way("late news", one_message, targets=(), faults=(REORDERED,))
    ),
)
