"""The sandbox's own API, under `/sandbox/`: for the phone in the browser, and for tests that read what Twilio knows."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from .addresses import is_reachable, number_of
from .errors import TwilioError, not_found
from .faults import BadScript, parse_script
from .records import Message
from .twin import Twin
from .wire import Request, Response, Route, as_json

BAD_REQUEST = 20001
SHOWN_EXCHANGES = 50


def show_account(twin: Twin, request: Request) -> Response:
    """The addresses that a contact can write to."""
    return as_json({"account_sid": twin.account.sid, "senders": twin.account.senders})


def list_contacts(twin: Twin, request: Request) -> Response:
    return as_json(
        {"contacts": [{"number": contact.number, "name": contact.name} for contact in twin.journal.contacts()]}
    )


def put_contact(twin: Twin, request: Request) -> Response:
    given = _read_json(request)
    number, name = str(given.get("number", "")), str(given.get("name", ""))
    if not is_reachable(number) or number != number_of(number):
        raise TwilioError(21211, f"{number} is not a valid phone number.")
    twin.journal.put_contact(number, name)
    return as_json({"number": number, "name": twin.journal.contact(number).name}, status=201)


def show_thread(twin: Twin, request: Request, contact: str) -> Response:
    """What the contact's phone shows. `?since=` the `version` of an earlier answer: only what changed after it."""
    address = unquote(contact)
    since = request.query.number("since")
    messages = twin.journal.thread(address, since=since)
    return as_json(
        {
            "version": max((message.change for message in messages), default=since),
            "typing": twin.journal.is_typing(address),
            "stopped": bool(twin.journal.senders_opted_out_of(address)),
            "messages": [_bubble(twin, message) for message in messages],
        }
    )


def write_as_contact(twin: Twin, request: Request) -> Response:
    """`from`, `body`; and `to` (our address), `name`, `media` (content_type, base64 content), webhook `params`."""
    given = _read_json(request)
    sender, body = str(given.get("from", "")), str(given.get("body", ""))
    if not is_reachable(sender):
        raise TwilioError(21211, f"{sender} is not a valid phone number.")
    try:
        attachments = [(item["content_type"], base64.b64decode(item["content"])) for item in given.get("media", [])]
        extra = {name: str(value) for name, value in given.get("params", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TwilioError(BAD_REQUEST, "media and params are not as expected") from error
    if not body and not attachments and not extra:
        raise TwilioError(21602, "Message body is required.")
    if given.get("name"):
        twin.journal.put_contact(number_of(sender), str(given["name"]))
    message = twin.receive(
        sender=sender, recipient=str(given.get("to", "")), body=body, attachments=attachments, extra=extra
    )
    return as_json(_bubble(twin, message), status=201)


def show_media(twin: Twin, request: Request, sid: str) -> Response:
    try:
        media = twin.journal.media(sid)
    except KeyError:
        raise not_found(request.path) from None
    return Response(200, media.content, media.content_type)


def play_faults(twin: Twin, request: Request) -> Response:
    try:
        rules = parse_script(request.body)
    except BadScript as error:
        raise TwilioError(BAD_REQUEST, str(error)) from error
    twin.faults.play(rules, seed=request.query.number("seed", twin.faults.seed))
    return show_faults(twin, request)


def end_faults(twin: Twin, request: Request) -> Response:
    twin.faults.play([])
    return show_faults(twin, request)


def show_faults(twin: Twin, request: Request) -> Response:
    return as_json({"seed": twin.faults.seed, "rules": [rule.as_json() for rule in twin.faults.rules]})


def show_exchanges(twin: Twin, request: Request) -> Response:
    """The last requests both ways, `?since=` the `seq` of one."""
    since = request.query.number("since")
    return as_json({"exchanges": twin.journal.exchanges(since=since, last=SHOWN_EXCHANGES)})


def show_journal(twin: Twin, request: Request) -> Response:
    """Every message and every request both ways, `?since=` the `seq` of an exchange."""
    since = request.query.number("since")
    return as_json(
        {
            "messages": [asdict(message) for message in twin.journal.messages()],
            "exchanges": twin.journal.exchanges(since=since),
        }
    )


def _bubble(twin: Twin, message: Message) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "seq": message.seq,
        "mine": message.inbound,  # the phone is the contact's
        "body": message.body,
        "at": message.created_at,
        "status": message.ticks if message.inbound else message.status,
        "error_code": message.error_code,
        "media": [
            {"url": f"media/{media.sid}", "content_type": media.content_type}
            for media in twin.journal.media_of(message.sid)
        ]
        + [{"url": url, "content_type": ""} for url in json.loads(message.media_urls)],
    }


def _read_json(request: Request) -> dict[str, Any]:
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise TwilioError(BAD_REQUEST, "JSON is expected") from error
    if not isinstance(value, dict):
        raise TwilioError(BAD_REQUEST, "A JSON object is expected")
    return value


ROUTES = [
    Route("GET", re.compile(r"/sandbox/account"), show_account),
    Route("GET", re.compile(r"/sandbox/contacts"), list_contacts),
    Route("POST", re.compile(r"/sandbox/contacts"), put_contact),
    Route("GET", re.compile(r"/sandbox/contacts/(?P<contact>[^/]+)/messages"), show_thread),
    Route("POST", re.compile(r"/sandbox/messages"), write_as_contact),
    Route("GET", re.compile(r"/sandbox/media/(?P<sid>\w+)"), show_media),
    Route("GET", re.compile(r"/sandbox/faults"), show_faults),
    Route("POST", re.compile(r"/sandbox/faults"), play_faults),
    Route("DELETE", re.compile(r"/sandbox/faults"), end_faults),
    Route("GET", re.compile(r"/sandbox/exchanges"), show_exchanges),
    Route("GET", re.compile(r"/sandbox/journal"), show_journal),
]
