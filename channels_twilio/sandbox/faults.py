"""Fault scripts: what goes wrong on purpose, and when. The same seed and the same traffic give the same faults.

A script is a JSON list of rules:

    {"match": {"to": "+15550108888", "nth": [1, 3]}, "fault": "429", "args": {"retry_after": 3}}
    {"match": {"operation": "list", "probability": 0.1}, "fault": "500_not_executed"}

Every part of `match` may be left out. `to` (or `from`) is the contact's address; `nth` counts, from 1, what the rule
meets (a number or a list); `operation` is for the API's faults: send (default), list, fetch, media, typing or content.

| fault | what happens | args |
|---|---|---|
| `429` | refused, not executed | `retry_after` (1 s) |
| `error` | refused with any of Twilio's errors | `code`, `message`, `status` (400) |
| `500_not_executed`, `500_executed` | 5xx, before or after the request took effect | `status` (500) |
| `drop_before_accept`, `drop_after_accept` | the connection ends without a response | `seconds` before that (0) |
| `reset_after_accept` | the connection is reset after the request took effect | `seconds` before that (0) |
| `delay` | executed, answered late; a hang where `seconds` are more than anybody waits | `seconds` (1) |
| `list_lags` | the list does not know yet what is younger | `seconds` (2) |
| `queued_long` | the message waits at Twilio, or there runs out of its ValidityPeriod | `seconds` (5) |
| `callback_early` | all status callbacks come before the send is answered | |
| `callback_late` | status callbacks come late | `seconds` (1) |
| `callback_reordered` | status callbacks come last first | |
| `callback_duplicated` | each status callback comes several times | `times` (2) |
| `callback_lost` | no status callback comes | |
| `failed`, `undelivered` | the message ends like that | `code` (63016, 30003) |
| `inbound_late` | the webhook comes late | `seconds` (1) |
| `inbound_duplicated` | the webhook comes several times at once | `times` (2) |
| `inbound_lost` | no webhook comes; the message is only in the list | |

A file that is there only at the third look:
    {"match": {"operation": "media", "nth": [1, 2]}, "fault": "error", "args": {"code": 20404, "status": 404}}
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_API_OPERATIONS = frozenset({"send", "list", "fetch", "media", "typing", "content", "delete"})
_CONDITIONS = frozenset({"to", "from", "nth", "probability", "operation"})
_API_FAULTS = frozenset(
    {"429", "error", "500_not_executed", "500_executed", "delay"}
    | {"drop_before_accept", "drop_after_accept", "reset_after_accept"}
)
_LIST_FAULTS = frozenset({"list_lags"})
_CALLBACK_FAULTS = frozenset(
    {"callback_early", "callback_late", "callback_reordered", "callback_duplicated", "callback_lost"}
    | {"queued_long", "failed", "undelivered"}
)
_INBOUND_FAULTS = frozenset({"inbound_late", "inbound_duplicated", "inbound_lost"})


class BadScript(ValueError):
    """The fault script cannot be understood."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong now."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        return float(self.args.get(name, default))


@dataclass(frozen=True, slots=True)
class Rule:
    fault: Fault
    operation: str
    address: str | None = None
    nth: frozenset[int] | None = None
    probability: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """As a script writes it."""
        match: dict[str, Any] = {"probability": self.probability}
        if self.operation in _API_OPERATIONS:
            match["operation"] = self.operation
        if self.address is not None:
            match["to"] = self.address
        if self.nth is not None:
            match["nth"] = sorted(self.nth)
        return {"match": match, "fault": self.fault.name, "args": self.fault.args}


def parse_script(text: str | bytes) -> list[Rule]:
    """Raises BadScript, with the reason."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise BadScript(f"not JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadScript("a list of rules is expected")
    return [_parse_rule(entry) for entry in entries]


def _parse_rule(entry: dict[str, Any]) -> Rule:
    name, match, args = entry.get("fault"), entry.get("match", {}), entry.get("args", {})
    if not isinstance(match, dict) or not isinstance(args, dict):
        raise BadScript("match and args are objects")
    if unknown := (entry.keys() - {"match", "fault", "args"}) | (match.keys() - _CONDITIONS):
        raise BadScript(f"unknown: {', '.join(sorted(unknown))}")
    nth, probability = match.get("nth"), match.get("probability", 1)
    numbers = [nth] if isinstance(nth, int) else nth
    if numbers is not None and not (isinstance(numbers, list) and all(isinstance(number, int) for number in numbers)):
        raise BadScript("nth is a number or a list of numbers")
    if not isinstance(probability, int | float):
        raise BadScript("probability is a number")
    return Rule(
        fault=Fault(str(name), args),
        operation=_operation(name, match.get("operation", "send")),
        address=match.get("to", match.get("from")),
        nth=None if numbers is None else frozenset(numbers),
        probability=probability,
    )


def _operation(fault: object, asked: object) -> str:
    if fault in _CALLBACK_FAULTS:
        return "callback"
    if fault in _INBOUND_FAULTS:
        return "inbound"
    if fault in _LIST_FAULTS:
        return "list"
    if fault not in _API_FAULTS:
        raise BadScript(f"unknown fault {fault!r}")
    if asked not in _API_OPERATIONS:
        raise BadScript(f"unknown operation {asked!r}")
    return str(asked)


class Faults:
    """The script that is being played. The first rule that fits decides."""

    def __init__(self, rules: list[Rule], *, seed: int) -> None:
        self._lock = threading.Lock()
        self.seed = seed
        self.play(rules)

    def play(self, rules: list[Rule], *, seed: int | None = None) -> None:
        """From now on, from the start, with another seed if one is given; an empty list ends all faults."""
        with self._lock:
            self.rules = rules
            self.seed = self.seed if seed is None else seed
            self._matches: Counter[int] = Counter()
            self._draws: Counter[tuple[int, str]] = Counter()

    def draw(self, operation: str, address: str) -> Fault | None:
        """What goes wrong with this operation of this contact's address, if anything."""
        with self._lock:
            for index, rule in enumerate(self.rules):
                if rule.operation != operation or rule.address not in (None, address):
                    continue
                self._matches[index] += 1
                if rule.nth is not None and self._matches[index] not in rule.nth:
                    continue
                if self._luck(index, address) < rule.probability:
                    return rule.fault
        return None

    def _luck(self, index: int, address: str) -> float:
        """In [0, 1). Each contact has a row of its own, so that the order among contacts, a race, changes nothing."""
        self._draws[index, address] += 1
        return random.Random(f"{self.seed}/{index}/{address}/{self._draws[index, address]}").random()  # noqa: S311
