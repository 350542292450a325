"""What is kept of a conversation. Provider words stay out: an address has a medium, a message has a kind."""

from .assistant import Assistant, HttpTool, Usage
from .contact import Contact, Fact
from .conversation import OPEN_STATES, Conversation, Event, Note, State
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
from .outside import Erasure, IdempotencyKey, Webhook, WebhookDelivery
from .people import ApiToken, CannedReply, Membership, Role
from .workspace import BusinessHours, ChannelAccount, Medium, Template, UnknownSends, Workspace

__all__ = [
    "OPEN_STATES",
    "ApiToken",
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
    "IdempotencyKey",
    "KnowledgeEntry",
    "Media",
    "MediaState",
    "Medium",
    "Membership",
    "Message",
    "Note",
    "Outcome",
    "Role",
    "State",
    "Template",
    "UnknownSends",
    "Usage",
    "Webhook",
    "WebhookDelivery",
    "Workspace",
]
