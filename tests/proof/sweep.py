"""Kills a process at every one of its points, one run for each, and has the checker account for everything."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from .chaos import storm
from .checker import violations
from .evidence import Evidence
from .mutants import MUTANTS
from .points import SIDES, Fatal
from .stage import Stage
from .trials import PATIENCE, TRIALS
from .ways import WAYS, Way


@dataclass(slots=True)
class Verdict:
    """One run."""

    way: str
    fatal: Fatal | None
    name: str  # of the point at which the process was killed, or empty where it was not
    violations: list[str]
    seconds: float
    caught: list[str] = field(default_factory=list)  # what gave a mutant away

    def __str__(self) -> str:
        if self.caught:
            return f"{self.way}: caught: {'; '.join(self.caught)} ({self.seconds:.1f} s)"
        where = f"{self.fatal} at {self.name!r}" if self.fatal else "nobody is killed"
        return f"{self.way}: {where}: {'; '.join(self.violations) or 'all accounted for'} ({self.seconds:.1f} s)"


@dataclass(slots=True)
class Report:
    """All runs on one backend."""

    backend: str
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def points(self) -> int:
        return len({(v.way, replace(v.fatal, side=""), v.name) for v in self.verdicts if v.fatal and v.name})

    @property
    def kills(self) -> int:
        return sum(bool(verdict.name) for verdict in self.verdicts)

    @property
    def guilty(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.violations]


FIRST_GUESS = 8  # points of a target, in a sample


def try_way(stage: Stage, way: Way, fatal: Fatal | None) -> Verdict:
    evidence = way.play(stage, (fatal,) if fatal else ())
    return Verdict(way.name, fatal, _killed_at(evidence, fatal), violations(evidence), evidence.seconds)


def sweep(stage: Stage, ways: Sequence[Way] = WAYS) -> Iterator[Verdict]:
    """Every point of every target of every way. A target's points are at an end when a run passes without a kill."""
    for way in ways:
        yield try_way(stage, way, None)
        for target in way.targets:
            nth = 1
            while True:
                verdicts = [try_way(stage, way, replace(target, nth=nth, side=side)) for side in SIDES]
                yield from verdicts
                if not any(verdict.name for verdict in verdicts):
                    break
                nth += 1


def sample(stage: Stage, *, size: int, seed: int, seconds: float, ways: Sequence[Way] = WAYS) -> Iterator[Verdict]:
    """Some points, by chance. Where a target turns out to pass fewer than was guessed, the next guess knows it.

    Args:
        seconds: no further run is begun after so long.
    """
    until, luck = time.monotonic() + seconds, random.Random(seed)
    targets = [(way, target) for way in ways for target in way.targets]
    count = dict.fromkeys(targets, FIRST_GUESS)
    for way, target in luck.choices(targets, k=size):
        fatal = replace(target, nth=luck.randint(1, count[way, target]), side=luck.choice(SIDES))
        evidence = way.play(stage, (fatal,))
        verdict = Verdict(way.name, fatal, _killed_at(evidence, fatal), violations(evidence), evidence.seconds)
        if not verdict.name:
            passed = sum((role, life) == (target.role, target.life) for role, life, *_ in evidence.points)
            count[way, target] = max(passed, 1)
        yield verdict
        if time.monotonic() > until:
            return


def try_storm(stage: Stage, seed: int, seconds: float) -> Verdict:
    evidence = storm(stage, seed, seconds)
    harmed, answered = f"{len(evidence.killed)} times", len(evidence.accepted)
    name = f"processes were killed or frozen {harmed}, {len(evidence.taken)} messages taken, {answered} answers sent"
    return Verdict("storm", Fatal("any", seed, "by chance"), name, violations(evidence), evidence.seconds)


def try_mutants(stage: Stage, backend: str) -> Iterator[Verdict]:
    """Each trial with the product as it is, then with its mutant; a mutant that is not caught is a violation itself."""
    for trial in TRIALS:
        if backend not in trial.backends:
            continue
        evidence = trial.way.play(stage, trial.fatals)
        yield Verdict(f"without {trial.mutant}", None, "", violations(evidence), evidence.seconds)
        for _ in range(2):  # some are caught in a race, which may be won
            evidence = trial.way.play(stage, trial.fatals, mutant=MUTANTS[trial.mutant], within=PATIENCE)
            if caught := list(trial.breaks(evidence)):
                break
        verdict = Verdict(f"with {trial.mutant}", None, "", [] if caught else ["NOT CAUGHT"], evidence.seconds)
        verdict.caught = caught
        yield verdict


def _killed_at(evidence: Evidence, fatal: Fatal | None) -> str:
    if fatal is None:
        return ""
    for role, life, nth, side, name, _ in evidence.killed:
        if (role, life, nth, side) == (fatal.role, fatal.life, fatal.nth, fatal.side):
            return name
    return ""
