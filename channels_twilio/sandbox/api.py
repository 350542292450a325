"""Twilio's API, as far as a messaging product uses it."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime, timedelta

from . import numbers
from .addresses import is_whatsapp
from .content import TEMPLATES, content_json, find
from .errors import TwilioError, not_found
from .records import Media, Message
from .resources import media_json, message_json, messages_uri, page_json
from .twin import Twin
from .wire import Form, Request, Response, Route, as_json

_ACCOUNT = r"/2010-04-01/Accounts/(?P<account_sid>\w+)"
_MESSAGE = _ACCOUNT + r"/Messages/(?P<sid>\w+)"
_MEDIA = _MESSAGE + r"/Media/(?P<media_sid>\w+)"


def create_message(twin: Twin, request: Request, account_sid: str) -> Response:
    return as_json(message_json(twin.send(request.form), account_sid), status=201)


def list_messages(twin: Twin, request: Request, account_sid: str) -> Response:
    query = request.query
    size = min(max(query.number("PageSize", 50), 1), 1000)
    page, token = query.number("Page"), query.get("PageToken")
    conditions = [*_filters(query)]
    if request.fault and request.fault.name == "list_lags":
        conditions.append(("created_at < ?", time.time() - request.fault.number("seconds", 2)))
    if token:
        conditions.append(("seq < ?", _message(twin, request, token.removeprefix("PA")).seq))
    found = twin.journal.messages(conditions, newest_first=True, limit=size + 1, offset=0 if token else page * size)
    records = [message_json(message, account_sid) for message in found[:size]]
    uri = messages_uri(account_sid)
    return as_json(page_json(uri, query, "messages", records, page=page, size=size, more=len(found) > size))


def _filters(query: Form) -> list[tuple[str, object]]:
    filters: list[tuple[str, object]] = [
        (condition, query.get(name))
        for name, condition in (("To", "recipient = ?"), ("From", "sender = ? AND status != 'accepted'"))
        if query.get(name)
    ]
    if text := query.get("DateSent>"):
        filters.append(("sent_at >= ?", _timestamp(text)))
    if text := query.get("DateSent<"):
        filters.append(("sent_at <= ?", _timestamp(text)))
    if text := query.get("DateSent"):  # that day
        filters += [
            ("sent_at >= ?", _timestamp(text[:10])),
            ("sent_at < ?", _timestamp(text[:10]) + timedelta(days=1).total_seconds()),
        ]
    return filters


def _timestamp(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TwilioError(20001, f"{text} is not a date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def fetch_message(twin: Twin, request: Request, account_sid: str, sid: str) -> Response:
    return as_json(message_json(_message(twin, request, sid), account_sid))


def delete_message(twin: Twin, request: Request, account_sid: str, sid: str) -> Response:
    twin.journal.delete_message(_message(twin, request, sid).sid)
    return Response(204)


def delete_media(twin: Twin, request: Request, account_sid: str, sid: str, media_sid: str) -> Response:
    twin.journal.delete_media(_media(twin, request, sid, media_sid).sid)
    return Response(204)


def list_media(twin: Twin, request: Request, account_sid: str, sid: str) -> Response:
    _message(twin, request, sid)
    records = [media_json(media, account_sid) for media in twin.journal.media_of(sid)]
    return as_json(page_json(request.path, request.query, "media_list", records, page=0, size=50, more=False))


def describe_media(twin: Twin, request: Request, account_sid: str, sid: str, media_sid: str) -> Response:
    return as_json(media_json(_media(twin, request, sid, media_sid), account_sid))


def fetch_media(twin: Twin, request: Request, account_sid: str, sid: str, media_sid: str) -> Response:
    """Twilio sends the client on to its content network, by an address that is a secret of its own."""
    media = _media(twin, request, sid, media_sid)
    return Response(302, headers={"Location": f"{twin.base_url}/mms/{media.sid}/{_media_key(twin, media)}"})


def fetch_media_content(twin: Twin, request: Request, media_sid: str, key: str) -> Response:
    if request.authorization:  # as the content network does: credentials that followed the redirect are a leak
        raise TwilioError(20001, "Only one auth mechanism allowed")
    try:
        media = twin.journal.media(media_sid)
    except KeyError:
        raise not_found(request.path) from None
    if not hmac.compare_digest(key, _media_key(twin, media)):
        raise not_found(request.path)
    return Response(200, media.content, media.content_type)


def show_typing(twin: Twin, request: Request) -> Response:
    twin.show_typing(request.form.get("messageId"), request.form.get("channel"))
    return as_json({"success": True})


def fetch_account(twin: Twin, request: Request, account_sid: str) -> Response:
    return as_json({"sid": account_sid, "friendly_name": "Sandbox", "status": "active", "type": "Full"})


def list_content(twin: Twin, request: Request) -> Response:
    contents = [content_json(template, twin.account.sid, twin.base_url) for template in TEMPLATES]
    return as_json({"contents": contents, "meta": _meta("contents")})


def fetch_content(twin: Twin, request: Request, sid: str) -> Response:
    return as_json(content_json(find(sid), twin.account.sid, twin.base_url))


def list_phones(twin: Twin, request: Request, account_sid: str) -> Response:
    records = [numbers.phone_json(number, account_sid) for number in twin.numbers if not is_whatsapp(number.address)]
    page = page_json(request.path, request.query, "incoming_phone_numbers", records, page=0, size=50, more=False)
    return as_json(page)


def change_phone(twin: Twin, request: Request, account_sid: str, sid: str) -> Response:
    number = numbers.find(twin.numbers, sid)
    numbers.change_phone(number, request.form)
    return as_json(numbers.phone_json(number, account_sid))


def list_senders(twin: Twin, request: Request) -> Response:
    senders = [numbers.sender_json(number, twin.base_url) for number in twin.numbers if is_whatsapp(number.address)]
    return as_json({"senders": senders, "meta": _meta("senders")})


def change_sender(twin: Twin, request: Request, sid: str) -> Response:
    number = numbers.find(twin.numbers, sid)
    numbers.change_sender(number, request.body)
    return as_json(numbers.sender_json(number, twin.base_url), status=202)


def _meta(key: str) -> dict[str, object]:
    """Of the one page that there is, where Twilio's newer resources tell it."""
    return {"key": key, "page": 0, "page_size": 50, "next_page_url": None, "previous_page_url": None}


def _message(twin: Twin, request: Request, sid: str) -> Message:
    try:
        return twin.journal.message(sid)
    except KeyError:
        raise not_found(request.path) from None


def _media(twin: Twin, request: Request, message_sid: str, sid: str) -> Media:
    for media in twin.journal.media_of(message_sid):
        if media.sid == sid:
            return media
    raise not_found(request.path)


def _media_key(twin: Twin, media: Media) -> str:
    return hmac.new(twin.account.auth_token.encode(), media.sid.encode(), hashlib.sha256).hexdigest()


ROUTES = [
    Route("POST", re.compile(_ACCOUNT + r"/Messages\.json"), create_message, "send"),
    Route("GET", re.compile(_ACCOUNT + r"/Messages\.json"), list_messages, "list"),
    Route("GET", re.compile(_MESSAGE + r"\.json"), fetch_message, "fetch"),
    Route("DELETE", re.compile(_MESSAGE + r"\.json"), delete_message, "delete"),
    Route("DELETE", re.compile(_MEDIA + r"\.json"), delete_media, "delete"),
    Route("GET", re.compile(_MESSAGE + r"/Media\.json"), list_media, "fetch"),
    Route("GET", re.compile(_MEDIA + r"\.json"), describe_media, "fetch"),
    Route("GET", re.compile(_MEDIA), fetch_media, "media"),
    Route("GET", re.compile(r"/mms/(?P<media_sid>\w+)/(?P<key>\w+)"), fetch_media_content, "media", open=True),
    Route("GET", re.compile(_ACCOUNT + r"\.json"), fetch_account, "fetch"),
    Route("GET", re.compile(_ACCOUNT + r"/IncomingPhoneNumbers\.json"), list_phones, "fetch"),
    Route("POST", re.compile(_ACCOUNT + r"/IncomingPhoneNumbers/(?P<sid>PN\w+)\.json"), change_phone, "fetch"),
    Route("GET", re.compile(r"/v2/Channels/Senders"), list_senders, "fetch"),
    Route("POST", re.compile(r"/v2/Channels/Senders/(?P<sid>XE\w+)"), change_sender, "fetch"),
    Route("GET", re.compile(r"/v1/Content"), list_content, "content"),
    Route("GET", re.compile(r"/v1/Content/(?P<sid>\w+)"), fetch_content, "content"),
    Route("POST", re.compile(r"/v2/Indicators/Typing\.json"), show_typing, "typing"),
]
