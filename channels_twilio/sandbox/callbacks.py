"""What becomes of an accepted message: its way from queued to read, with a status callback for each event."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .addresses import is_whatsapp
from .agenda import Agenda
from .faults import Fault, Faults
from .journal import Journal
from .records import Message
from .webhooks import Webhooks

OUTSIDE_WINDOW, VALIDITY_EXPIRED = 63016, 30036
_DEFAULT_ERROR = {"failed": 63016, "undelivered": 30003}
_CHANNEL_INSTALL_SID = "XEc1c2c3c4c1c2c3c4c1c2c3c4c1c2c3c4"


@dataclass(frozen=True, slots=True)
class Event:
    """`at` seconds after the walk began, the status changes or (`calls`) the callback for it is posted."""

    at: float
    status: str
    error_code: int | None = None
    calls: bool = False


def plan(message: Message, fault: Fault | None, *, pace: float) -> list[Event]:
    """What is still ahead of a message, in order of time.

    Args:
        pace: seconds between two statuses.
    """
    name = fault.name if fault else ""
    wait = fault.number("seconds", 5) if fault and name == "queued_long" else 0
    if message.validity is not None and wait > message.validity:
        expired = Event(message.validity, "failed", VALIDITY_EXPIRED)
        return [expired, replace(expired, calls=True)]
    way = ["sent", "delivered"] + (["read"] if is_whatsapp(message.recipient) else [])
    if name in _DEFAULT_ERROR:
        way = ["sent", name] if name == "undelivered" else [name]
    if message.status in way:
        way = way[way.index(message.status) + 1 :]
    events = []
    for number, status in enumerate(way):
        code = int(fault.number("code", _DEFAULT_ERROR[name])) if fault and status == name else None
        at = wait + pace * (number + 1)
        events.append(Event(at, status, code))
        events += [Event(at + delay, status, code, calls=True) for delay in _delays(fault, len(way) - 1 - number, pace)]
    return sorted(events, key=lambda event: event.at)


def _delays(fault: Fault | None, statuses_to_come: int, pace: float) -> list[float]:
    """How long after a status its callbacks come."""
    if fault is None:
        return [0]
    match fault.name:
        case "callback_late":
            return [fault.number("seconds", 1)]
        case "callback_duplicated":
            return [0] * int(fault.number("times", 2))
        case "callback_reordered":  # all of them after the last status, and the last one first
            return [2 * pace * statuses_to_come]
        case "callback_lost":
            return []
    return [0]


def parameters(message: Message, event: Event, account_sid: str) -> Iterator[tuple[str, str]]:
    """What a status callback carries, on SMS and on WhatsApp."""
    whatsapp = is_whatsapp(message.recipient)
    if whatsapp and event.status in ("delivered", "read"):
        yield "EventType", event.status.upper()
    yield "SmsSid", message.sid
    yield "SmsStatus", event.status
    yield "MessageStatus", event.status
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
        if event.status == "sent":
            yield "StructuredMessage", "false"
    if event.error_code:
        yield "ErrorCode", str(event.error_code)
    if not whatsapp and event.status in ("delivered", "undelivered"):
        yield "RawDlrDoneDate", time.strftime("%y%m%d%H%M", time.gmtime())


class Callbacks:
    """Walks messages along their plans.

    What happens to one message happens in the planned order, so a slow webhook holds up that message's later news:
    callbacks out of order are a fault to ask for, not an accident.

    Args:
        pace: seconds between two statuses of a message.
        window: seconds after a contact's last message on WhatsApp in which free words reach them; 0: always.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        journal: Journal,
        faults: Faults,
        agenda: Agenda,
        webhooks: Webhooks,
        pace: float,
        window: float,
    ) -> None:
        self._account_sid = account_sid
        self._journal, self._faults, self._agenda, self._webhooks = journal, faults, agenda, webhooks
        self._pace, self._window = pace, window

    def walk(self, message: Message) -> None:
        fault = self._faults.draw("callback", message.recipient)
        if fault is None and self._is_outside_window(message):
            fault = Fault("failed", {"code": OUTSIDE_WINDOW})
        events = plan(message, fault, pace=self._pace)
        if fault and fault.name == "callback_early":
            for event in events:
                self._take(message, event, fault)
        else:
            self._go_on(message, events, fault, time.monotonic())

    def _is_outside_window(self, message: Message) -> bool:
        """Free words reach a contact on WhatsApp for 24 hours after their last; Twilio notices only after its 201."""
        waiting = message.status in ("accepted", "queued")
        if not (self._window and waiting and message.free and is_whatsapp(message.recipient)):
            return False
        return message.created_at - self._journal.last_written(message.recipient, message.sender) > self._window

    def resume(self) -> None:
        """Walk on with what an earlier process of the twin left under way."""
        for message in self._journal.unfinished():
            self.walk(message)

    def _go_on(self, message: Message, events: list[Event], fault: Fault | None, began: float) -> None:
        if not events:
            return
        event, *rest = events

        def take() -> None:
            self._take(message, event, fault)
            self._go_on(message, rest, fault, began)

        self._agenda.add(began + event.at - time.monotonic(), take)

    def _take(self, message: Message, event: Event, fault: Fault | None) -> None:
        if not event.calls:
            self._journal.set_status(message.sid, event.status, error_code=event.error_code)
        elif message.status_callback:
            params = list(parameters(message, event, self._account_sid))
            self._webhooks.call("status", message.status_callback, params, fault=fault.name if fault else None)
