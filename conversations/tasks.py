"""The tasks of this app, each declared at its handler. The queue imports this file to learn of them."""

from .lifecycle import process_expired, process_idle
from .outbox import deliver_message, give_up_delivery
from .responder import give_up_answering, process_ai_response

__all__ = [
    "deliver_message",
    "give_up_answering",
    "give_up_delivery",
    "process_ai_response",
    "process_expired",
    "process_idle",
]
