"""Twilio's own SDK is the judge of what a valid signature is."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator, get_signature_algorithm

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


# --- Shared keys: https://www.twilio.com/docs/usage/webhooks/webhooks-security -------------------------------------

KEY, SECRET = "webhooks_sharedkey_1", "a secret that Twilio made"


@pytest.fixture
def shared_key(account):
    account.shared_key_id, account.shared_key_secret = KEY, SECRET
    account.save()


def post_settings(client, said: str, secret: str, algorithm: str = "HMAC_SHA256"):
    """A request whose signature the SDK made, that says so of itself."""
    body = urlencode(message())
    signature = RequestValidator(secret).compute_signature(BASE_URL + INBOUND, QueryDict(body), algorithm)
    headers = {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": said}
    return client.generic("POST", INBOUND, body, content_type=FORM, headers=headers).status_code


@given(pairs=st.lists(st.tuples(text, text), max_size=8), algorithm=st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]))
def test_each_algorithm_signs_as_the_sdk_does(pairs, algorithm):
    params = QueryDict(urlencode(pairs))
    url = BASE_URL + INBOUND
    assert RequestValidator(SECRET).validate(url, params, sign(SECRET, url, params, algorithm), algorithm)


@pytest.mark.parametrize(
    "said",
    [
        f"key={KEY},algorithm=HMAC_SHA256",
        f"algorithm=HMAC_SHA256,key={KEY}",
        f" key = {KEY} , algorithm = HMAC_SHA256 ",
        f"key={KEY},algorithm=HMAC_SHA256,new=thing",
    ],
)
def test_what_the_shared_key_signs_is_accepted(client, sms, shared_key, said):
    assert get_signature_algorithm(said) == "HMAC_SHA256"
    assert post_settings(client, said, SECRET) == 200


@pytest.mark.parametrize("said", ["", "key=", "nonsense", "algorithm="])
def test_settings_that_say_nothing_mean_the_auth_token_as_the_sdk_takes_them(client, sms, said):
    assert get_signature_algorithm(said) == "HMAC_SHA1"
    assert post_settings(client, said, AUTH_TOKEN, "HMAC_SHA1") == 200


@pytest.mark.parametrize(
    ("said", "secret", "algorithm"),
    [
        ("key=another,algorithm=HMAC_SHA256", SECRET, "HMAC_SHA256"),
        ("key=another,algorithm=HMAC_SHA256", AUTH_TOKEN, "HMAC_SHA256"),
        (f"key={KEY},algorithm=HMAC_SHA256", AUTH_TOKEN, "HMAC_SHA256"),
        (f"key={KEY},algorithm=HMAC_SHA256", SECRET, "HMAC_SHA1"),
        (f"key={KEY},algorithm=HMAC_MD5", SECRET, "HMAC_SHA256"),
        (f"key={KEY}", SECRET, "HMAC_SHA256"),
        ("algorithm=HMAC_SHA256", SECRET, "HMAC_SHA256"),
        ("", SECRET, "HMAC_SHA256"),
        ("", SECRET, "HMAC_SHA1"),
    ],
)
def test_no_other_key_and_no_other_algorithm_will_do(client, sms, shared_key, said, secret, algorithm):
    assert post_settings(client, said, secret, algorithm) == 403


@pytest.mark.parametrize("key", ["", KEY])
def test_an_account_without_a_shared_key_accepts_none(client, sms, account, key):
    account.shared_key_id = key
    account.save()
    assert post_settings(client, f"key={KEY},algorithm=HMAC_SHA256", "") == 403


# --- JSON: the URL carries the hash of the body -------------------------------------------------------------------


def post_json(client, body: bytes, *, target: str = "", token: str = AUTH_TOKEN, content_type="application/json"):
    target = target or f"{INBOUND}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(token).compute_signature(BASE_URL + target, {})
    headers = {"X-Twilio-Signature": signature}
    return client.generic("POST", target, body, content_type=content_type, headers=headers).status_code


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_a_json_body_is_taken_where_the_signed_url_carries_its_hash(client, sms, content_type):
    body = json.dumps(message(Body="Olá 👋")).encode()
    assert post_json(client, body, content_type=content_type) == 200
    assert Message.objects.get().text == "Olá 👋"


def test_a_json_body_with_another_hash_or_none_is_refused_as_the_sdk_refuses_it(client, sms):
    body, other = json.dumps(message()).encode(), hashlib.sha256(b"{}").hexdigest()
    right = hashlib.sha256(body).hexdigest()
    validator = RequestValidator(AUTH_TOKEN)
    for query in (f"bodySHA256={other}", f"bodySHA256={other}&bodySHA256={right}", "bodySHA256="):
        target = f"{INBOUND}?{query}"
        url = BASE_URL + target
        if "=" in query.rstrip("="):
            assert not validator.validate(url, body.decode(), validator.compute_signature(url, {}))
        assert post_json(client, body, target=target) == 403
    assert post_json(client, body, target=INBOUND) == 403
    assert post_json(client, body, token="f" * 32) == 403
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"AccountSid"',
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"AccountSid": null}',
        b'{"AccountSid": ["AC"]}',
        b'{"AccountSid": "AC\\u0000"}',
        b'{"AccountSid": "\\ud800"}',
    ],
)
def test_json_that_names_no_account_is_refused(client, sms, body):
    assert post_json(client, body) == 403


def test_half_a_character_in_json_breaks_nothing(client, sms):
    assert post_json(client, json.dumps(message(Body="\ud800a")).encode()) == 200
    assert Message.objects.get().text == "?a"


@pytest.mark.parametrize("target", [INBOUND, INBOUND + "?bodySHA256=" + hashlib.sha256(b"{}").hexdigest()])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_anything_but_a_form_and_json_with_its_hash_is_refused(client, sms, target, content_type):
    assert post_json(client, json.dumps(message()).encode(), target=target, content_type=content_type) == 403


def test_a_form_is_signed_with_its_parameters_also_where_the_url_carries_a_hash(client, sms):
    target = INBOUND + "?bodySHA256=" + hashlib.sha256(urlencode(message()).encode()).hexdigest()
    assert post(client, target, message()).status_code == 200
    assert post_json(client, urlencode(message()).encode(), target=target, content_type=FORM) == 403


@pytest.mark.parametrize("sid", ["", "AC\0", "AC é", "A" * 1000])
def test_an_account_sid_that_is_none_is_refused(client, sms, sid):
    assert post(client, INBOUND, message(AccountSid=sid)).status_code == 403


@pytest.mark.parametrize("target", ["https://bot.example.com" + INBOUND, ".evil.example/x", "@evil.example/x"])
def test_a_request_target_that_is_no_path_cannot_bend_the_signed_url(account, target):
    body = urlencode(message())
    signature = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + target, QueryDict(body))
    request = RequestFactory().generic(
        "POST", INBOUND, body, content_type=FORM, headers={"X-Twilio-Signature": signature}, RAW_URI=target
    )
    with pytest.raises(Refused):
        verified_account(request)
