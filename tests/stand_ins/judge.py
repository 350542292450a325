"""Twilio's own description of its API as the judge of every request that is made to it.

`twilio-openapi.json` is an excerpt of what Twilio publishes (https://github.com/twilio/twilio-oai, Apache 2.0).
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest

DESCRIPTION = Path(__file__).with_name("twilio-openapi.json")
HOST = "https://api.twilio.com"
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
FORM = "application/x-www-form-urlencoded"

# What the product asks of Twilio beside messages: other descriptions, of which no copy is kept here, and files, which
# are described nowhere.
ELSEWHERE = re.compile(
    r"/v\d+/.+|/mms/.+|/2010-04-01/Accounts/AC\w{32}"
    r"((/IncomingPhoneNumbers(/PN\w{32})?)?\.json|/Messages/[MS]M\w{32}/Media/ME\w{32})"
)
ADDRESS = re.compile(r"\+[1-9]\d{1,14}|\d{5,6}|whatsapp:(\+[1-9]\d{1,14}|[A-Z]{2}\.\d+)")


def complaints(method: str, url: str, body: str, authorization: str) -> list[str]:
    """What Twilio would not understand, or would take for something else; empty for a good request.

    Args:
        url: path and query.
        body: of a POST, form-encoded.
        authorization: the header.
    """
    if ELSEWHERE.fullmatch(urlsplit(url).path):
        return [] if authorization or url.startswith("/mms/") else [f"{url}: no credentials"]
    headers = {"Authorization": authorization} if authorization else {}
    if body:
        headers["Content-Type"] = FORM
    request = RequestsOpenAPIRequest(requests.Request(method, HOST + url, headers=headers, data=body or None))
    judged = _twilio().unmarshal_request(request)
    found = [
        words
        for error in judged.errors
        for words in [e.message for e in getattr(error.__cause__, "schema_errors", ())] or [str(error)]
    ]
    if not found:
        understood = {*(judged.body or {}), *judged.parameters.query}
        unknown = {*_names(body), *_names(urlsplit(url).query)} - understood
        found = [f"there is no parameter {name!r}" for name in sorted(unknown)]
    return [f"{method} {urlsplit(url).path}: {words}" for words in found]


@cache
def _twilio() -> OpenAPI:
    """With what Twilio's description says only in words."""
    description = json.loads(DESCRIPTION.read_text())
    order: dict[str, Any] = description["paths"][MESSAGES]["post"]["requestBody"]["content"][FORM]["schema"]
    parameters = order["properties"]
    parameters["Body"] |= {"minLength": 1, "maxLength": 1600}
    parameters["ValidityPeriod"] |= {"minimum": 1, "maximum": 36000}
    parameters["MediaUrl"] |= {"maxItems": 10}
    parameters["ContentVariables"] |= {"format": "json-object"}
    order["allOf"] = [_one_of("From", "MessagingServiceSid"), _one_of("Body", "MediaUrl", "ContentSid")]
    formats = {"uri": _is_url, "phone-number": _is_address, "json-object": _is_json_object}
    return OpenAPI.from_dict(description, config=Config(extra_format_validators=formats))


def _one_of(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


def _is_url(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in parts.hostname


def _is_address(value: str) -> bool:
    return bool(ADDRESS.fullmatch(value))


def _is_json_object(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _names(encoded: str) -> set[str]:
    return {name for name, _ in parse_qsl(encoded, keep_blank_values=True)}
