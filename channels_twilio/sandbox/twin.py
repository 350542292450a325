"""The twin itself: what Twilio does when it is asked to send, and when a contact writes."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import inbound
from .addresses import is_whatsapp, number_of
from .agenda import Agenda
from .callbacks import Callbacks
from .errors import TwilioError, not_found
from .faults import Faults
from .journal import Journal
from .numbers import Number
from .records import Media, Message
from .sending import read_order
from .webhooks import Webhooks
from .wire import Form

TYPING_SECONDS = 25
MOST_SIDS_OF_A_MESSAGE = 20  # its own, and one for each file


@dataclass(frozen=True, slots=True)
class Account:
    """The Twilio account that the twin holds, as its console would show it.

    Attributes:
        senders: the addresses that it owns.
        inbound_url: where messages from contacts are posted; may carry connection overrides in its fragment.
        fallback_url: what is called when that fails, or empty.
        api_key: SID and secret of a key that opens the API as the token does, but signs nothing; or None.
    """

    sid: str
    auth_token: str
    senders: tuple[str, ...]
    inbound_url: str
    fallback_url: str
    api_key: tuple[str, str] | None = None


class Twin:
    """One Twilio account with its journal.

    Args:
        base_url: of the twin's own server; media is fetched there.
        pace: seconds between two steps of a sent message.
        window: seconds after a contact's last message on WhatsApp in which free words reach them; 0: always.
    """

    def __init__(
        self, account: Account, journal: Journal, faults: Faults, *, base_url: str, pace: float, window: float
    ) -> None:
        self.account, self.journal, self.faults, self.base_url = account, journal, faults, base_url
        self.numbers = [Number(address, account.inbound_url, account.fallback_url) for address in account.senders]
        self._agenda = Agenda()
        self._webhooks = Webhooks(account.auth_token, journal)
        self._callbacks = Callbacks(
            account_sid=account.sid,
            journal=journal,
            faults=faults,
            agenda=self._agenda,
            webhooks=self._webhooks,
            pace=pace,
            window=window,
        )
        self._sids = Sids(journal, faults.seed)
        self._callbacks.resume()

    def send(self, form: Form) -> Message:
        """The API's send. Raises TwilioError when Twilio would refuse it."""
        order = read_order(form, self.account.senders)
        if order.sender in self.journal.senders_opted_out_of(order.recipient):
            raise TwilioError(21610, "Attempt to send to unsubscribed recipient")
        message = self.journal.add_message(
            sid=self._sids.new("MM" if order.media_urls else "SM", order.recipient),
            direction="outbound-api",
            sender=order.sender,
            recipient=order.recipient,
            body=order.body,
            status="accepted" if order.messaging_service_sid else "queued",
            messaging_service_sid=order.messaging_service_sid,
            status_callback=order.status_callback,
            validity=order.validity,
            free=not order.is_template,
            media_urls=order.media_urls,
        )
        self._callbacks.walk(message)
        return message

    def receive(
        self,
        *,
        sender: str,
        recipient: str,
        body: str,
        attachments: Sequence[tuple[str, bytes]],
        extra: Mapping[str, str],
    ) -> Message:
        """A contact writes.

        Args:
            recipient: our address, or empty for the first one on the contact's channel.
            attachments: pairs of content type and content.
            extra: further webhook parameters, such as Latitude.

        Raises TwilioError when the account has no such address.
        """
        fitting = [address for address in self.account.senders if is_whatsapp(address) == is_whatsapp(sender)]
        recipient = recipient or next(iter(fitting), "")
        if recipient not in fitting:
            raise TwilioError(21606, f"The account has no address {recipient} to write to.")
        sid = self._sids.new("MM" if attachments else "SM", sender)
        media = [
            Media(self._sids.new("ME", sender), sid, content_type, content, time.time())
            for content_type, content in attachments
        ]
        self.journal.put_contact(number_of(sender), "")
        message = self.journal.add_message(
            sid=sid,
            direction="inbound",
            sender=sender,
            recipient=recipient,
            body=body,
            status="received",
            media=media,
            ticks="sent",
        )
        self._heed_keyword(message)
        self._post_inbound(message, media, extra)
        return message

    def show_typing(self, message_sid: str, channel: str) -> None:
        """Show the contact of that message that an answer is being written; it also marks the message read.

        Raises TwilioError when it is no message from a contact on WhatsApp.
        """
        try:
            message = self.journal.message(message_sid)
        except KeyError:
            raise not_found(f"/v2/Indicators/Typing.json ({message_sid})") from None
        if channel != "whatsapp" or not message.inbound or not is_whatsapp(message.sender):
            raise TwilioError(20001, "Typing indicators answer a message that came in over the channel whatsapp")
        self.journal.set_ticks(message.sid, "read")
        self.journal.show_typing(message.sender, seconds=TYPING_SECONDS)

    def _heed_keyword(self, message: Message) -> None:
        kind = inbound.opt_out_type(message.body)
        if kind in ("STOP", "START"):
            changed = self.journal.set_opted_out(message.sender, message.recipient, kind == "STOP")
        else:
            changed = kind == "HELP"
        if changed:
            confirmation = self.journal.add_message(
                sid=self._sids.new("SM", message.sender),
                direction="outbound-reply",
                sender=message.recipient,
                recipient=message.sender,
                body=inbound.CONFIRMATIONS[kind],
                status="queued",
            )
            self._callbacks.walk(confirmation)

    def _post_inbound(self, message: Message, media: Sequence[Media], extra: Mapping[str, str]) -> None:
        name = self.journal.contact(number_of(message.sender)).name
        params = list(
            inbound.parameters(
                message, media, name=name, account_sid=self.account.sid, base_url=self.base_url, extra=extra
            )
        )
        number = next(number for number in self.numbers if number.address == message.recipient)
        fault = self.faults.draw("inbound", message.sender)
        copies, delay = 1, 0.0
        if fault:
            copies = {"inbound_lost": 0, "inbound_duplicated": int(fault.number("times", 2))}.get(fault.name, 1)
            delay = fault.number("seconds", 1) if fault.name == "inbound_late" else 0

        def post() -> None:
            if self._webhooks.call(
                "inbound",
                number.url,
                params,
                fallback_url=number.fallback_url,
                fault=fault.name if fault else None,
            ):
                self.journal.set_ticks(message.sid, "delivered")

        for _ in range(copies):
            self._agenda.add(delay, post)


class Sids:
    """One row of them for each contact, of the seed: what happens to others at the same time changes none.

    A twin that is started again with its journal begins behind what is in there.
    """

    def __init__(self, journal: Journal, seed: int) -> None:
        self._journal, self._seed = journal, seed
        self._lock = threading.Lock()
        self._numbers: dict[str, Iterator[int]] = {}

    def new(self, prefix: str, contact: str) -> str:
        with self._lock:
            if contact not in self._numbers:
                self._numbers[contact] = itertools.count(MOST_SIDS_OF_A_MESSAGE * self._journal.count_of(contact))
            number = next(self._numbers[contact])
        return prefix + hashlib.sha256(f"{self._seed}/{contact}/{number}".encode()).hexdigest()[:32]
