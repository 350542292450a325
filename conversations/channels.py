"""The channel port: how `conversations` sends without knowing a provider.

`settings.CHANNELS` maps a channel's name to its class: `{"console": {"BACKEND": "package.module.ConsoleChannel"}}`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import IO

from django.conf import settings
from django.utils.module_loading import import_string

from queueing.errors import ForOperators


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """What a channel needs in order to send one message, read beforehand: a channel holds no database connection."""

    message_id: int
    account_id: int  # the ChannelAccount that it leaves from
    medium: str
    sender: str  # our address
    recipient: str  # the contact's address
    text: str  # of a template: as the contact will read it
    media_urls: tuple[str, ...] = ()
    template: str = ""  # the provider's id of an approved text, which is sent in place of `text`
    variables: Mapping[str, str] = field(default_factory=dict)  # what is filled into it
    valid_for: timedelta | None = None  # the provider must not send it later than so long from now
    resend: int = 0  # how often it was sent before; news must give it back, or the sends cannot be told apart


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider has the message."""

    external_id: str
    status: str  # a DeliveryStatus


class Remedy(Enum):
    """What a failure asks for, whether it is the answer to a send or news that comes later."""

    GIVE_UP = "it can never be sent, or not to this recipient: a person goes on"
    OPT_OUT = "the contact wants no messages"
    WINDOW_CLOSED = "free text came too late: only a template or a person can go on"
    RESEND = "it may arrive if it is sent again later"
    PAUSE = "the channel account must be put right first; its messages are kept"


class NotSent(ForOperators, Exception):
    """The provider refused the message. It was certainly not sent."""

    def __init__(self, code: str, reason: str, remedy: Remedy = Remedy.GIVE_UP) -> None:
        super().__init__(f"{code}: {reason}" if code else reason)
        self.code, self.reason, self.remedy = code, reason, remedy


class SendLater(ForOperators, Exception):
    """Certainly not sent now, and worth another try."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class OutcomeUnknown(ForOperators, Exception):
    """The request left and no trustworthy answer came: the message may have been sent."""


class FileRefused(ForOperators, Exception):
    """The file will not be fetched, now or later: it is too large, or does not lie where it may be fetched from."""


class FileMissing(ForOperators, Exception):
    """The provider does not have the file; shortly after the message came, it may not have it yet."""


class FileLater(ForOperators, Exception):
    """The file could not be fetched now, and another try is worth it."""


class Channel(ABC):
    """One provider. Its methods are called without a database connection; each has its own timeout."""

    #: longest text of one message, in characters; a longer answer is split into parts
    max_text_length: int

    @abstractmethod
    def prepare(self, account_id: int) -> object:
        """Read from the database what the calls for this channel account will need, for example its credentials.

        Raises SendLater where something is missing.
        """

    @abstractmethod
    def send(self, outgoing: OutgoingMessage, prepared: object, *, timeout: float) -> Receipt:
        """Send once. Raises NotSent, SendLater or OutcomeUnknown for all that can happen on the wire.

        Args:
            timeout: seconds that the whole call may take.
        """

    @abstractmethod
    def find(
        self, outgoing: OutgoingMessage, prepared: object, *, since: datetime, taken: frozenset[str], timeout: float
    ) -> Receipt | None:
        """Look up at the provider whether `outgoing` was sent, for a send whose outcome is unknown.

        Args:
            since: when its intent was committed; older messages at the provider are not it.
            taken: external ids that belong to other messages of ours.

        Raises SendLater when the provider cannot be asked now.
        """

    def reply_window(self, medium: str) -> timedelta | None:
        """How long after the contact's last message free text may be sent; None: always."""
        return None

    def time_on_air(self, outgoing: OutgoingMessage) -> timedelta:
        """How long the provider lets its sender be busy with this message; zero: it sets no limit."""
        return timedelta(0)

    def fetch(self, url: str, prepared: object, into: IO[bytes], *, limit: int, timeout: float) -> None:
        """Write a file that came with a message to `into`. Raises FileRefused, FileMissing or FileLater.

        Args:
            url: where the message said that it lies.
            limit: bytes that it may have at most.
            timeout: seconds that the whole call may take.
        """
        raise FileRefused("the channel brings no files")

    def erase(self, prepared: object, external_id: str, *, timeout: float) -> None:  # noqa: B027  (nothing kept there)
        """Delete the provider's own copy of a message, with its files; one that is gone already is no error.

        Raises SendLater when the provider cannot be asked now.
        """

    def forget(self, *, external_ids: Sequence[str] = (), address: str = "") -> int:
        """Delete what the channel itself has stored, in our database, of these messages or of this contact.

        Called in a transaction. Returns how many records there were.
        """
        return 0

    def show_typing(self, prepared: object, external_id: str) -> None:  # noqa: B027  (not every channel can)
        """Show the contact that an answer to their message `external_id` is being written. Never raises."""


@cache
def get_channel(name: str) -> Channel:
    """The channel of that name in `settings.CHANNELS`. Raises KeyError when there is none."""
    channel: Channel = import_string(settings.CHANNELS[name]["BACKEND"])()
    return channel
