"""What becomes of an accepted message: its way from queued to read, with a status callback for each step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from .addresses import is_whatsapp
from .agenda import Agenda
from .faults import Fault, Faults
from .journal import Journal
from .records import Message
from .webhooks import Webhooks

_DEFAULT_ERROR = {"failed": 63016, "undelivered": 30003}
_CHANNEL_INSTALL_SID = "XEc1c2c3c4c1c2c3c4c1c2c3c4c1c2c3c4"


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds: `at` after the walk began; `callbacks` each after the step."""

    status: str
    at: float
    callbacks: tuple[float, ...] = (0,)
    error_code: int | None = None


def plan(message: Message, fault: Fault | None, *, pace: float) -> list[Step]:
    """The steps that are still ahead of a message.

    Args:
        pace: seconds between two steps.
    """
    name = fault.name if fault else ""
    way = ["sent", "delivered"] + (["read"] if is_whatsapp(message.recipient) else [])
    if name in _DEFAULT_ERROR:
        way = ["sent", name] if name == "undelivered" else [name]
    if message.status in way:
        way = way[way.index(message.status) + 1 :]
    steps = [Step(status, at=pace * (number + 1)) for number, status in enumerate(way)]
    if fault is None or not steps:
        return steps
    last = steps[-1].at

    def delays(number: int, step: Step) -> tuple[float, ...]:
        if name == "callback_late":
            return (fault.number("seconds", 1),)
        if name == "callback_duplicated":
            return (0,) * int(fault.number("times", 2))
        if name == "callback_reordered":  # all after the last step, the last step's first
            return (last - step.at + pace * (len(steps) - 1 - number),)
        return () if name == "callback_lost" else (0,)

    return [
        Step(
            step.status,
            step.at,
            delays(number, step),
            int(fault.number("code", _DEFAULT_ERROR[name])) if step.status == name else None,
        )
        for number, step in enumerate(steps)
    ]


def parameters(message: Message, step: Step, account_sid: str) -> Iterator[tuple[str, str]]:
    """What a status callback carries, on SMS and on WhatsApp."""
    whatsapp = is_whatsapp(message.recipient)
    if whatsapp and step.status in ("delivered", "read"):
        yield "EventType", step.status.upper()
    yield "SmsSid", message.sid
    yield "SmsStatus", step.status
    yield "MessageStatus", step.status
    if whatsapp:
        yield "ChannelToAddress", message.recipient.removeprefix("whatsapp:")[:-4] + "XXXX"
    yield "To", message.recipient
    if whatsapp:
        yield "ChannelPrefix", "whatsapp"
    yield "MessageSid", message.sid
    yield "AccountSid", account_sid
    if message.messaging_service_sid:
        yield "MessagingServiceSid", message.messaging_service_sid
    yield "From", message.sender
    yield "ApiVersion", "2010-04-01"
    if whatsapp:
        yield "ChannelInstallSid", _CHANNEL_INSTALL_SID
        if step.status == "sent":
            yield "StructuredMessage", "false"
    if step.error_code:
        yield "ErrorCode", str(step.error_code)
    if not whatsapp and step.status in ("delivered", "undelivered"):
        yield "RawDlrDoneDate", time.strftime("%y%m%d%H%M", time.gmtime())


class Callbacks:
    """Walks messages along their plans.

    Args:
        pace: seconds between two steps of a message.
    """

    def __init__(
        self, *, account_sid: str, journal: Journal, faults: Faults, agenda: Agenda, webhooks: Webhooks, pace: float
    ) -> None:
        self._account_sid = account_sid
        self._journal, self._faults, self._agenda, self._webhooks = journal, faults, agenda, webhooks
        self._pace = pace

    def walk(self, message: Message) -> None:
        fault = self._faults.draw("callback", message.recipient)
        for step in plan(message, fault, pace=self._pace):
            self._agenda.add(step.at, lambda step=step: self._take(message, step, fault))  # type: ignore[misc]

    def resume(self) -> None:
        """Walk on with what an earlier process of the twin left under way."""
        for message in self._journal.unfinished():
            self.walk(message)

    def _take(self, message: Message, step: Step, fault: Fault | None) -> None:
        self._journal.set_status(message.sid, step.status, error_code=step.error_code)
        if not message.status_callback:
            return
        url, params = message.status_callback, list(parameters(message, step, self._account_sid))
        for delay in step.callbacks:
            self._agenda.add(
                delay, lambda: self._webhooks.call("status", url, params, fault=fault.name if fault else None)
            )
