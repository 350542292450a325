"""The tasks of this app, each declared at its handler. The queue imports this file to learn of them."""

from .documents import give_up_reading, read_document
from .erasure import erase_contact
from .media import fetch_media, give_up_media
from .memory import summarise_conversation
from .outbox import deliver_message, give_up_delivery
from .responder import give_up_answering, process_ai_response
from .retention import prune_conversations, prune_media
from .silence import process_expired, process_idle
from .transcription import give_up_transcription, transcribe_media
from .usage import settle_abandoned

__all__ = [
    "deliver_message",
    "erase_contact",
    "fetch_media",
    "give_up_answering",
    "give_up_delivery",
    "give_up_media",
    "give_up_reading",
    "give_up_transcription",
    "process_ai_response",
    "process_expired",
    "process_idle",
    "prune_conversations",
    "prune_media",
    "read_document",
    "settle_abandoned",
    "summarise_conversation",
    "transcribe_media",
]
