"""What is kept of a conversation. Provider words stay out: an address has a medium, a message has a kind."""

from .contact import Contact
from .conversation import OPEN_STATES, Conversation, Event, State
from .knowledge import KnowledgeEntry
from .message import (
    Author,
    DeliveryStatus,
    Direction,
    Media,
    MediaState,
    Message,
    Outcome,
)
from .workspace import ChannelAccount, Medium, Template, UnknownSends, Workspace

__all__ = [
    "OPEN_STATES",
    "Author",
    "ChannelAccount",
    "Contact",
    "Conversation",
    "DeliveryStatus",
    "Direction",
    "Event",
    "KnowledgeEntry",
    "Media",
    "MediaState",
    "Medium",
    "Message",
    "Outcome",
    "State",
    "Template",
    "UnknownSends",
    "Workspace",
]
