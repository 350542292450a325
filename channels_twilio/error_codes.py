"""What to do about Twilio's errors, as data. https://www.twilio.com/docs/api/errors"""

from __future__ import annotations

from enum import Enum

from conversations import channels


class Remedy(Enum):
    """What an error of Twilio's asks for."""

    RETRY = "try again, as soon as Twilio says"
    RETRY_LATER = "try again in a while"
    RECONCILE = "it may have been sent: find out before anything else"
    CONFIGURE = "the account must be put right first; the messages are kept"
    GIVE_UP_RECIPIENT = "nothing can be sent to this recipient"
    OPTED_OUT = "the recipient wants no messages"
    GIVE_UP_CONTENT = "this content can never be sent"
    WINDOW_CLOSED = "24 hours have passed: only a template or a person can go on"
    RESEND_LATER = "send it again later, a few times at most"


REMEDIES = {
    code: remedy
    for remedy, codes in {
        Remedy.RETRY: (429, 20429),
        Remedy.RETRY_LATER: (21611,),
        Remedy.RECONCILE: (20500, 20503),
        Remedy.CONFIGURE: (
            20003, 21408, 21606, 21608, 21656, 21703, 30002, 30034, 63007, 63020, 63041, 63051,
        ),
        Remedy.GIVE_UP_RECIPIENT: (21211, 21612, 21614, 30005, 30006, 63003, 63024, 63032, 63033),
        Remedy.OPTED_OUT: (21610,),
        Remedy.GIVE_UP_CONTENT: (
            21617, 21619, 21620, 30004, 30007, 63005, 63013, 63019, 63021,
        ),
        Remedy.WINDOW_CLOSED: (63016,),
        Remedy.RESEND_LATER: (30001, 30003, 30008, 30036, 63010, 63012, 63017, 63018, 63038),
    }.items()
    for code in codes
}  # fmt: skip

# What each asks of the conversation, once it is certain that the message was not sent.
CONSEQUENCES = {
    Remedy.RETRY: channels.Remedy.RESEND,
    Remedy.RETRY_LATER: channels.Remedy.RESEND,
    Remedy.RECONCILE: channels.Remedy.RESEND,
    Remedy.CONFIGURE: channels.Remedy.PAUSE,
    Remedy.GIVE_UP_RECIPIENT: channels.Remedy.GIVE_UP,
    Remedy.OPTED_OUT: channels.Remedy.OPT_OUT,
    Remedy.GIVE_UP_CONTENT: channels.Remedy.GIVE_UP,
    Remedy.WINDOW_CLOSED: channels.Remedy.WINDOW_CLOSED,
    Remedy.RESEND_LATER: channels.Remedy.RESEND,
}


def consequence_of(code: str) -> channels.Remedy:
    """What the error code of a status callback asks for. Codes that nobody knows, or none, are put before a person."""
    remedy = REMEDIES.get(int(code)) if code.isascii() and code.isdecimal() else None
    return CONSEQUENCES[remedy] if remedy else channels.Remedy.GIVE_UP


def remedy_for(status: int, code: int | None) -> Remedy:
    """What to do about an answer of HTTP `status` that carries Twilio's `code`, or none.

    A 5xx may have been executed, whatever its code says. A 4xx was certainly not; one without a code is not from
    Twilio's API but from something before it, such as a wrong address or a proxy.
    """
    if status == 429:
        return Remedy.RETRY
    if not 400 <= status < 500:
        return Remedy.RECONCILE
    if code is None or (status in (401, 403, 404) and code not in REMEDIES):
        return Remedy.CONFIGURE
    return REMEDIES.get(code, Remedy.GIVE_UP_CONTENT)
