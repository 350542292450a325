"""What is kept of a conversation. Provider words stay out: an address has a medium, a message has a kind."""

from .assistant import Assistant, HttpTool, Usage
from .contact import Contact, Fact
from .conversation import OPEN_STATES, Conversation, Event, Note, State
from .erasure import Erasure
from .knowledge import Document, KnowledgeEntry
from .message import (
    Author,
    DeliveryStatus,
    Direction,
    Media,
    MediaState,
    Message,
    Outcome,
)
from .people import CannedReply
from .workspace import BusinessHours, ChannelAccount, Medium, Template, UnknownSends, Workspace

__all__ = [
    "OPEN_STATES",
    "Assistant",
    "Author",
    "BusinessHours",
    "CannedReply",
    "ChannelAccount",
    "Contact",
    "Conversation",
    "DeliveryStatus",
    "Direction",
    "Document",
    "Erasure",
    "Event",
    "Fact",
    "HttpTool",
    "KnowledgeEntry",
    "Media",
    "MediaState",
    "Medium",
    "Message",
    "Note",
    "Outcome",
    "State",
    "Template",
    "UnknownSends",
    "Usage",
    "Workspace",
]
