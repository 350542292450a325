"""Twilio's own SDK is the judge of what a valid signature is."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels_twilio.models import TwilioAccount
from channels_twilio.signature import Refused, sign, verified_account
from conversations.models import Message

from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, FORM, INBOUND, message, post

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(pairs=st.lists(st.tuples(text, text), max_size=8), repeated=st.lists(st.tuples(text, text), max_size=3))
def test_the_signature_is_the_one_that_the_sdk_computes(pairs, repeated):
    params = QueryDict(urlencode([*pairs, *repeated, *repeated]))
    url = BASE_URL + INBOUND
    assert RequestValidator(AUTH_TOKEN).validate(url, params, sign(AUTH_TOKEN, url, params))


@given(body=st.binary(max_size=60))
def test_broken_escapes_and_broken_utf8_are_signed_as_the_sdk_signs_them(body):
    params = QueryDict(body)
    assert sign(AUTH_TOKEN, BASE_URL, params) == RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL, params)


def test_names_are_sorted_by_code_point_values_once_and_blanks_kept(client, sms):
    params = [*message(b="2").items(), ("B", "z"), ("a", "2"), ("a", "1"), ("a", "1"), ("blank", ""), ("é", "ü")]
    assert post(client, INBOUND, params).status_code == 200
    assert Message.objects.get().raw["a"] == ["2", "1", "1"]


@pytest.mark.parametrize(
    ("public_base_url", "signed_url"),
    [
        ("https://bot.example.com", "https://bot.example.com"),
        ("https://bot.example.com", "https://bot.example.com:443"),
        ("https://bot.example.com:8443", "https://bot.example.com:8443"),
        ("https://bot.example.com:8443", "https://bot.example.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://example.com/bots/recado", "https://example.com/bots/recado"),
    ],
)
def test_the_port_may_be_signed_or_not(client, sms, settings, public_base_url, signed_url):
    settings.PUBLIC_BASE_URL = public_base_url
    body = urlencode(message())
    signature = RequestValidator(AUTH_TOKEN).compute_signature(signed_url + INBOUND, QueryDict(body))
    response = client.generic("POST", INBOUND, body, content_type=FORM, headers={"X-Twilio-Signature": signature})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "signed_url",
    [
        "http://bot.example.com" + INBOUND,
        "https://bot.example.com/webhooks/twilio/inbound",
        "https://bot.example.com" + INBOUND + "#rc=5",
        "https://evil.example.com" + INBOUND,
        "https://bot.example.com" + INBOUND + "?a=b",
        "https://bot.example.com/webhooks/twilio/status/",
    ],
)
def test_a_signature_for_another_url_is_refused(client, sms, signed_url):
    body = urlencode(message())
    signature = RequestValidator(AUTH_TOKEN).compute_signature(signed_url, QueryDict(body))
    response = client.generic("POST", INBOUND, body, content_type=FORM, headers={"X-Twilio-Signature": signature})
    assert response.status_code == 403


def test_the_query_is_part_of_the_signed_url_as_it_was_on_the_wire(client, sms):
    assert post(client, INBOUND + "?x=%7E%c3%a9%27&y=a+b", message()).status_code == 200


def test_the_slash_at_the_end_may_be_missing_and_is_never_redirected_to(client, sms):
    assert post(client, INBOUND.rstrip("/"), message()).status_code == 200
    assert Message.objects.count() == 1


def test_both_tokens_are_accepted_while_one_is_being_rotated(client, sms, account):
    assert post(client, INBOUND, message(), token="f" * 32).status_code == 403
    account.next_auth_token = "f" * 32
    account.save()
    for token in (AUTH_TOKEN, "f" * 32):
        assert post(client, INBOUND, message(), token=token).status_code == 200


@pytest.mark.django_db
def test_an_account_without_a_token_trusts_nobody(client, workspace):
    TwilioAccount.objects.create(workspace=workspace, account_sid=ACCOUNT_SID, auth_token="")
    assert post(client, INBOUND, message(), token="").status_code == 403


def test_the_token_of_one_account_opens_no_door_of_another(client, account, workspace):
    TwilioAccount.objects.create(workspace=workspace, account_sid="AC" + "0" * 32, auth_token="e" * 32)
    assert post(client, INBOUND, message(), token="e" * 32).status_code == 403
    assert post(client, INBOUND, message(AccountSid="AC" + "9" * 32)).status_code == 403


def test_without_a_public_base_url_nothing_is_accepted(client, sms, settings):
    settings.PUBLIC_BASE_URL = ""
    assert post(client, INBOUND, message()).status_code == 403


def test_a_shared_key_signature_is_refused_since_no_such_key_is_known(client, sms):
    body = urlencode(message())
    signed = BASE_URL + INBOUND + "".join(name + value for name, value in sorted(message().items()))
    signature = b64encode(hmac.digest(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha256)).decode()
    headers = {
        "X-Twilio-Signature": signature,
        "X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
    }
    assert client.generic("POST", INBOUND, body, content_type=FORM, headers=headers).status_code == 403


@pytest.mark.parametrize("target", [INBOUND, INBOUND + "?bodySHA256=" + hashlib.sha256(b"{}").hexdigest()])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_anything_but_a_form_is_refused(client, sms, target, content_type):
    body = json.dumps(message()).encode()
    signature = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + target, {})
    response = client.generic(
        "POST", target, body, content_type=content_type, headers={"X-Twilio-Signature": signature}
    )
    assert response.status_code == 403


@pytest.mark.parametrize("target", ["https://bot.example.com" + INBOUND, ".evil.example/x", "@evil.example/x"])
def test_a_request_target_that_is_no_path_cannot_bend_the_signed_url(account, target):
    body = urlencode(message())
    signature = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + target, QueryDict(body))
    request = RequestFactory().generic(
        "POST", INBOUND, body, content_type=FORM, headers={"X-Twilio-Signature": signature}, RAW_URI=target
    )
    with pytest.raises(Refused):
        verified_account(request)
