"""The colours, signs and words that operators read a conversation by."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from queueing.display import label

from .models import Conversation, DeliveryStatus, Message, Outcome, State

STATE_COLOURS = {
    State.PENDING: "warning",
    State.IN_PROGRESS: "primary",
    State.HUMAN: "info",
    State.FAILED: "danger",
}
DELIVERY_COLOURS = {
    DeliveryStatus.UNKNOWN: "warning",
    DeliveryStatus.DELIVERED: "success",
    DeliveryStatus.READ: "success",
    DeliveryStatus.UNDELIVERED: "danger",
    DeliveryStatus.FAILED: "danger",
    DeliveryStatus.SUPPRESSED: "warning",
}
OUTCOME_COLOURS = {
    Outcome.WAITING: "warning",
    Outcome.ANSWERED: "success",
    Outcome.MERGED: "success",
    Outcome.HUMAN: "info",
    Outcome.DEAD: "danger",
}
TICKS = {  # names of Material symbols, which unfold brings along
    DeliveryStatus.DRAFT: "edit_note",
    DeliveryStatus.PENDING: "schedule",
    DeliveryStatus.SENDING: "schedule",
    DeliveryStatus.UNKNOWN: "help",
    DeliveryStatus.QUEUED: "schedule",
    DeliveryStatus.SENT: "check",
    DeliveryStatus.DELIVERED: "done_all",
    DeliveryStatus.READ: "done_all",
    DeliveryStatus.UNDELIVERED: "error",
    DeliveryStatus.FAILED: "error",
    DeliveryStatus.CANCELED: "block",
    DeliveryStatus.SUPPRESSED: "block",
}

KINDS = {  # a channel may know more; those are shown by their own names
    "text": _("text"),
    "image": _("picture"),
    "audio": _("audio"),
    "video": _("video"),
    "document": _("document"),
    "sticker": _("sticker"),
    "location": _("location"),
    "contacts": _("contacts"),
    "button": _("button"),
    "interactive": _("choice"),
}


def state_label(conversation: Conversation) -> str:
    """Where the conversation stands."""
    return label(conversation.get_state_display(), STATE_COLOURS.get(State(conversation.state), ""))


def delivery_label(message: Message) -> str:
    """How far the message has come."""
    colour = DELIVERY_COLOURS.get(DeliveryStatus(message.delivery_status), "")
    return label(message.get_delivery_status_display(), colour)


def outcome_label(message: Message) -> str:
    """What became of an inbound message; nothing for others."""
    if not message.outcome:
        return ""
    return label(message.get_outcome_display(), OUTCOME_COLOURS.get(Outcome(message.outcome), ""))


def tick(message: Message) -> str:
    """The sign for how far an outbound message has come."""
    return TICKS.get(DeliveryStatus(message.delivery_status), "")


def kind_label(message: Message) -> str:
    """What the message is, where its text does not say it."""
    return str(KINDS.get(message.kind, message.kind))
