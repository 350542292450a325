"""A storm: many write at once, Twilio fails in every way it can, and processes are killed and frozen by chance."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from functools import partial

from tests.stand_ins.servers import children

from .evidence import Evidence
from .stage import WORDS, Run, Stage

CONTACTS = 40
MESSAGES = 3  # of each contact
HARMS_PER_SECOND = 1.5

# The first rule that fits an exchange decides; the twin's luck has a seed of its own.
FAULTS = tuple(
    {"match": {"probability": probability, **match}, "fault": fault, "args": args}
    for probability, match, fault, args in (
        (0.15, {}, "inbound_duplicated", {"times": 3}),
        (0.06, {}, "inbound_late", {"seconds": 0.5}),  # after what was written later
        (0.05, {}, "429", {"retry_after": 0}),
        (0.05, {}, "500_executed", {}),
        (0.05, {}, "500_not_executed", {}),
        (0.05, {}, "drop_before_accept", {}),
        (0.05, {}, "drop_after_accept", {}),
        (0.05, {}, "delay", {"seconds": 0.5}),
        (0.1, {"operation": "list"}, "500_not_executed", {}),
        (0.1, {}, "callback_reordered", {}),
        (0.1, {}, "callback_duplicated", {"times": 3}),
        (0.05, {}, "callback_late", {"seconds": 1}),
    )
)


def storm(stage: Stage, seed: int, seconds: float) -> Evidence:
    """`seconds` of it, and then as long as it takes until everything has come to rest."""
    return stage.play(
        partial(_rage, luck=random.Random(seed), seconds=seconds),
        faults=FAULTS,
        everyone=True,
        done=Evidence.has_calmed,
        within=seconds + 60,
    )


def _rage(stage: Stage, run: Run, *, luck: random.Random, seconds: float) -> None:
    contacts = [f"whatsapp:+1555999{number:04}" for number in range(CONTACTS)]
    writing = [(contact, word) for contact in contacts for word in luck.sample(WORDS, MESSAGES)]
    luck.shuffle(writing)
    began, frozen = time.monotonic(), dict[int, float]()
    due = sorted(luck.uniform(0, seconds * 0.8) for _ in writing)
    harm_due = sorted(luck.uniform(0.2, seconds) for _ in range(round(seconds * HARMS_PER_SECOND)))
    while (passed := time.monotonic() - began) < seconds:
        while due and due[0] < passed:
            due.pop(0)
            contact, word = writing.pop()
            stage.twin.write(contact, word)
        while harm_due and harm_due[0] < passed:
            harm_due.pop(0)
            _harm(run, luck, frozen)
        for pid in [pid for pid, until in frozen.items() if until < time.monotonic()]:
            _thaw(pid, frozen)
        stage.tend(run)
        time.sleep(0.05)
    for pid in list(frozen):
        _thaw(pid, frozen)


def _harm(run: Run, luck: random.Random, frozen: dict[int, float]) -> None:
    """To one of the processes, or to a whole group of them."""
    group, service = luck.choice(list(run.processes.items()))
    members = [group, *children(group)]
    pid = luck.choice(members)
    run.disturb(pid)
    with suppress(ProcessLookupError):
        if luck.random() < 0.6:
            if pid == group and service == "worker":
                os.killpg(group, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        elif pid not in frozen:
            os.kill(pid, signal.SIGSTOP)
            frozen[pid] = time.monotonic() + luck.uniform(0.3, 3)


def _thaw(pid: int, frozen: dict[int, float]) -> None:
    del frozen[pid]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
