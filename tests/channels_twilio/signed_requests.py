"""Requests as Twilio makes them, signed by Twilio's own SDK: our signatures are not their own judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.test import Client
from twilio.request_validator import RequestValidator

SAMPLES = json.loads((Path(__file__).parent / "payloads.json").read_text())
CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in SAMPLES["cases"]}
ACCOUNT_SID: str = SAMPLES["account_sid"]
AUTH_TOKEN: str = SAMPLES["auth_token"]

BASE_URL = "https://bot.example.com"
INBOUND = "/webhooks/twilio/inbound/"
STATUS = "/webhooks/twilio/status/"
FORM = "application/x-www-form-urlencoded"


def cases(kind: str) -> list[str]:
    return [name for name, case in CASES.items() if case["kind"] == kind]


def post_case(client: Client, name: str, *, signature: str | None = None) -> HttpResponse:
    """The sample, byte for byte."""
    case = CASES[name]
    headers = {"X-Twilio-Signature": signature if signature is not None else case["signature"]}
    if token := case.get("idempotency_token"):
        headers["I-Twilio-Idempotency-Token"] = token
    path = case["url"].removeprefix(BASE_URL)
    return client.generic("POST", path, case["body"], content_type=FORM, headers=headers)


def post(
    client: Client, target: str, params: dict[str, str] | list[tuple[str, str]], *, token: str = AUTH_TOKEN
) -> HttpResponse:
    """A request with these parameters, signed with `token`."""
    body = urlencode(params)
    signature = RequestValidator(token).compute_signature(BASE_URL + target, QueryDict(body))
    return client.generic("POST", target, body, content_type=FORM, headers={"X-Twilio-Signature": signature})


def message(**params: str) -> dict[str, str]:
    """The parameters of an SMS, changed by `params`."""
    return {
        "MessageSid": "SM00000000000000000000000000000001",
        "AccountSid": ACCOUNT_SID,
        "From": "+15550108888",
        "To": "+15550100002",
        "Body": "Hi there",
        "NumMedia": "0",
    } | params
