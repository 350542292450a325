"""What is sent to Twilio, and what its answer, or the lack of one, means for the message."""

from __future__ import annotations

import json
import logging
import socket
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.urls import resolve

from channels_twilio import transport, views
from channels_twilio.channel import Prepared, TwilioChannel
from channels_twilio.client import Credentials
from conversations.channels import NotSent, OutcomeUnknown, OutgoingMessage, Receipt, Remedy, SendLater
from conversations.models import ChannelAccount, DeliveryStatus, Medium

from .api_stand_in import api_stand_in, cut, drop, error, hang, json_answer, raw_answer, reset, trickle
from .conftest import add_sender
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, BASE_URL

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
CREDENTIALS = Credentials(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN)
SMS = Prepared(Medium.SMS, CREDENTIALS, "")
WHATSAPP = Prepared(Medium.WHATSAPP, CREDENTIALS, "")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEMPLATE = "HX" + "0" * 32


@pytest.fixture
def api(settings):
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        yield api
        transport.connections.close()
        transport.open_connections()


def outgoing(**changes) -> OutgoingMessage:
    fields = {
        "message_id": 42,
        "account_id": 1,
        "medium": Medium.SMS,
        "sender": "+15550100002",
        "recipient": "+15550108888",
        "text": "Hello",
    }
    return OutgoingMessage(**{**fields, **changes})


def send(prepared: Prepared = SMS, timeout: float = 5, **changes) -> Receipt:
    return TwilioChannel().send(outgoing(**changes), prepared, timeout=timeout)


def accepted(**changes: object) -> dict[str, object]:
    """A message resource, as Twilio answers it."""
    return {
        "sid": "SM1",
        "status": "queued",
        "body": "Hello",
        "to": "+15550108888",
        "from": "+15550100002",
        "direction": "outbound-api",
        "date_created": format_datetime(NOW),
        "date_sent": None,
        "account_sid": ACCOUNT_SID,
    } | changes


# --- What is sent -----------------------------------------------------------------------------------------------------


def test_an_sms_is_posted_with_a_callback_that_carries_our_id(api):
    api.answers(json_answer(201, accepted()))

    assert send() == Receipt("SM1", DeliveryStatus.QUEUED)

    [request] = api.requests
    assert (request.method, request.path) == ("POST", MESSAGES)
    assert dict(request.form) == {
        "To": "+15550108888",
        "From": "+15550100002",
        "Body": "Hello",
        "StatusCallback": f"{BASE_URL}/webhooks/twilio/status/?m=42#rc=5&rp=all&ct=2000&rt=4000",
    }
    assert request.authorization == "Basic " + b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    assert resolve("/webhooks/twilio/status/").func is views.status


def test_whatsapp_addresses_have_their_prefix_and_files_go_along(api):
    api.answers(json_answer(201, accepted()))
    send(WHATSAPP, medium=Medium.WHATSAPP, text="", media_urls=("https://a/1", "https://a/2"))
    [request] = api.requests
    assert [pair for pair in request.form if pair[0] != "StatusCallback"] == [
        ("To", "whatsapp:+15550108888"),
        ("From", "whatsapp:+15550100002"),
        ("MediaUrl", "https://a/1"),
        ("MediaUrl", "https://a/2"),
    ]


def test_a_messaging_service_chooses_the_number(api):
    api.answers(json_answer(201, accepted(**{"from": None, "status": "accepted"})))
    assert send(Prepared(Medium.SMS, CREDENTIALS, "MG" + "1" * 32)).status == DeliveryStatus.QUEUED
    form = dict(api.requests[0].form)
    assert form["MessagingServiceSid"] == "MG" + "1" * 32
    assert "From" not in form


@pytest.mark.parametrize("text", ["Olá 👋🏽\n", "a&b=c+d%20", "\u200f"])
def test_the_text_arrives_as_it_was_written(api, text):
    api.answers(json_answer(201, accepted()))
    send(text=text)
    assert dict(api.requests[0].form)["Body"] == text


def test_a_status_that_nobody_knows_yet_is_queued(api):
    api.answers(json_answer(201, accepted(status="teleporting")))
    assert send().status == DeliveryStatus.QUEUED


def test_a_template_goes_by_its_sid_with_what_is_filled_in(api):
    api.answers(json_answer(201, accepted()))
    send(WHATSAPP, medium=Medium.WHATSAPP, template=TEMPLATE, variables={"1": 'Zoë "Z"'}, text="Hello Zoë")
    form = dict(api.requests[0].form)
    assert (form["ContentSid"], json.loads(form["ContentVariables"])) == (TEMPLATE, {"1": 'Zoë "Z"'})
    assert "Body" not in form


def test_a_template_without_variables_sends_none(api):
    api.answers(json_answer(201, accepted()))
    send(template=TEMPLATE)
    assert "ContentVariables" not in dict(api.requests[0].form)


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        (None, None),
        (timedelta(hours=23), None),
        (timedelta(seconds=36_000), None),
        (timedelta(seconds=35_999.9), "35999"),
        (timedelta(seconds=90), "90"),
        (timedelta(milliseconds=1), "1"),
    ],
)
def test_a_message_does_not_outlive_its_window_in_twilio_s_queue(api, left, seconds):
    api.answers(json_answer(201, accepted()))
    send(valid_for=left)
    assert dict(api.requests[0].form).get("ValidityPeriod") == seconds


def test_each_send_of_a_message_is_told_apart_by_its_callback(api):
    api.answers(json_answer(201, accepted()))
    send(resend=2)
    assert "/status/?m=42.2#" in dict(api.requests[0].form)["StatusCallback"]


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"medium": Medium.WHATSAPP, "text": "x" * 1600}, 1 / 80),
        ({"medium": Medium.WHATSAPP, "sender": "+14155238886"}, 3),
        ({}, 1),
        ({"text": "x" * 161}, 2),
        ({"text": "é👋" * 24}, 2),
        ({"sender": "12345", "text": "x" * 161}, 0.02),
    ],
)
def test_a_sender_is_busy_for_as_long_as_twilio_takes(changes, seconds):
    assert TwilioChannel().time_on_air(outgoing(**changes)).total_seconds() == pytest.approx(seconds, rel=1e-3)


def test_only_whatsapp_has_a_window():
    assert TwilioChannel().reply_window(Medium.WHATSAPP) == timedelta(hours=24)
    assert TwilioChannel().reply_window(Medium.SMS) is None


# --- What an answer means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after", "after"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta(seconds=1)),
        ("999999999999", timedelta(hours=1)),
        ("soon", None),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", timedelta(seconds=1)),
        ("Wed, 21 Oct 2999 07:28:00 GMT", timedelta(hours=1)),
    ],
)
def test_too_many_requests_are_tried_again_when_twilio_says(api, retry_after, after):
    api.answers(error(429, 20429, Retry_After=retry_after))
    with pytest.raises(SendLater) as raised:
        send()
    assert raised.value.after == after


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": 21211, "message": "no"}', b'{"code": 20500}'])
def test_a_server_error_may_have_sent_it(api, status, body):
    api.answers(raw_answer(status, body))
    with pytest.raises(OutcomeUnknown):
        send()
    assert len(api.requests) == 1


@pytest.mark.parametrize("step", [drop, reset, cut], ids=lambda step: step.__name__)
def test_a_connection_that_breaks_after_the_request_left_may_have_sent_it(api, step):
    api.answers(step)
    with pytest.raises(OutcomeUnknown):
        send()
    assert len(api.requests) == 1


@pytest.mark.parametrize("step", [hang, trickle], ids=lambda step: step.__name__)
def test_no_answer_in_time_may_have_sent_it(api, step):
    api.answers(step)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        send(timeout=0.5)
    assert time.monotonic() - started < 2
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'"x"', b"<html>", b"\xff", b'{"sid": null}', b'{"sid": 7}']
)
def test_a_success_that_is_not_twilio_s_may_have_sent_it(api, status, body):
    api.answers(raw_answer(status, body))
    with pytest.raises(OutcomeUnknown):
        send()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed_with_the_credentials(api, status):
    api.answers(raw_answer(status, b"", Location=api.url + "/elsewhere"))
    with pytest.raises(OutcomeUnknown):
        send()
    assert [request.path for request in api.requests] == [MESSAGES]


def test_a_refused_connection_has_certainly_sent_nothing(settings):
    with socket.socket() as bound:  # bound, and not listening: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(SendLater):
            send()


def test_a_name_that_does_not_resolve_has_certainly_sent_nothing(settings):
    settings.TWILIO_API_BASE_URL = "http://twilio.invalid"
    with pytest.raises(SendLater):
        send()


def test_a_refusal_that_is_not_twilio_s_loses_no_message(api):
    api.answers(raw_answer(403, b"<html>blocked by a proxy</html>"))
    with pytest.raises(NotSent) as raised:
        send()
    assert raised.value.remedy == Remedy.PAUSE


def test_an_unknown_code_of_twilio_s_is_a_refusal(api):
    api.answers(error(400, 29999))
    with pytest.raises(NotSent) as raised:
        send()
    assert raised.value.code == "29999"


def test_an_error_in_the_newer_format_is_understood(api):
    problem = {
        "type": "https://x",
        "title": "Opted out",
        "status": 400,
        "code": 21610,
        "detail": "+15550108888 said STOP",
    }
    api.answers(json_answer(400, problem))
    with pytest.raises(NotSent) as raised:
        send()
    assert raised.value.remedy == Remedy.OPT_OUT
    assert raised.value.reason == "••• said STOP"


def test_neither_numbers_nor_words_nor_tokens_are_logged_or_reported(api, caplog):
    api.answers(error(400, 21211, "The 'To' number +15550108888 is not a valid phone number."))
    with caplog.at_level(logging.INFO), pytest.raises(NotSent) as raised:
        send(text="a secret")
    with caplog.at_level(logging.INFO), pytest.raises(SendLater):
        TwilioChannel().find(outgoing(), SMS, since=NOW, taken=frozenset(), timeout=5)
    everything = caplog.text + str(raised.value) + repr(raised.value.__cause__) + repr(SMS)
    for secret in ("5550108888", "a secret", AUTH_TOKEN):
        assert secret not in everything


def test_many_threads_share_the_connections(api):
    api.answers(json_answer(201, accepted()))
    with ThreadPoolExecutor(20) as threads:
        receipts = list(threads.map(lambda number: send(text=str(number)), range(100)))
    assert receipts == [Receipt("SM1", DeliveryStatus.QUEUED)] * 100
    assert {dict(request.form)["Body"] for request in api.requests} == {str(number) for number in range(100)}


# --- Credentials ------------------------------------------------------------------------------------------------------


def test_the_credentials_are_read_in_one_query(account, django_assert_num_queries):
    channel_account = add_sender(account, Medium.WHATSAPP, "+15550100001", "MG1")
    with django_assert_num_queries(1):
        prepared = TwilioChannel().prepare(channel_account.pk)
    assert prepared == Prepared(Medium.WHATSAPP, CREDENTIALS, "MG1")


def test_a_message_waits_while_no_twilio_account_is_tied(workspace):
    alone = ChannelAccount.objects.create(workspace=workspace, channel="twilio", medium=Medium.SMS, address="+1")
    with pytest.raises(SendLater) as raised:
        TwilioChannel().prepare(alone.pk)
    assert raised.value.after == timedelta(minutes=15)


# --- Looking a send up ------------------------------------------------------------------------------------------------


def listed(*messages: dict[str, object], next_page: str | None = None):
    return json_answer(200, {"messages": list(messages), "next_page_uri": next_page, "page": 0, "page_size": 50})


def at(seconds: float, **changes: object) -> dict[str, object]:
    """A message that Twilio created so many seconds after our intent."""
    return accepted(date_created=format_datetime(NOW + timedelta(seconds=seconds)), **changes)


def find(taken: tuple[str, ...] = (), timeout: float = 5, **changes) -> Receipt | None:
    return TwilioChannel().find(outgoing(**changes), SMS, since=NOW, taken=frozenset(taken), timeout=timeout)


def test_a_send_is_found_by_recipient_alone(api):
    api.answers(listed(at(1, sid="SM7", status="delivered")))
    assert find() == Receipt("SM7", DeliveryStatus.DELIVERED)
    [request] = api.requests
    assert (request.method, request.path) == ("GET", MESSAGES)
    assert request.query == {"To": "+15550108888", "PageSize": "100"}


@pytest.mark.parametrize(
    "other",
    [
        at(1, body="Another text"),
        at(-60, body="Hello"),
        at(1, sid="SM_taken"),
        at(1, direction="inbound"),
    ],
)
def test_another_message_is_not_it(api, other):
    api.answers(listed(other))
    assert find(taken=("SM_taken",)) is None


def test_a_small_difference_of_the_clocks_does_not_hide_it(api):
    api.answers(listed(at(-5)))
    assert find() == Receipt("SM1", DeliveryStatus.QUEUED)


def test_of_two_alike_the_older_is_the_one_that_left_first(api):
    api.answers(listed(at(9, sid="SM_second"), at(1, sid="SM_first")))
    assert find().external_id == "SM_first"
    api.answers(listed(at(9, sid="SM_second"), at(1, sid="SM_first")))
    assert find(taken=("SM_first",)).external_id == "SM_second"


def test_a_message_without_text_or_number_is_found(api):
    api.answers(listed(at(1, body=None, **{"from": None})))
    assert find(text="") == Receipt("SM1", DeliveryStatus.QUEUED)


@pytest.mark.parametrize("body", ["Hello  Ana,\nwe are here", "", None])
def test_a_template_is_found_by_the_text_that_twilio_made_of_it(api, body):
    api.answers(listed(at(1, body=body)))
    assert find(template=TEMPLATE, text="Hello Ana, we are here")


def test_another_text_is_not_the_template(api):
    api.answers(listed(at(1, body="Hello Eva, we are here")))
    assert find(template=TEMPLATE, text="Hello Ana, we are here") is None


def test_pages_are_followed_until_they_are_too_old(api):
    more = MESSAGES + "?To=%2B15550108888&PageSize=100&Page={}&PageToken=PA{}"
    newer = [at(100 - n, sid=f"SM{n}", body="Newer") for n in range(50)]
    api.answers(
        listed(*newer, next_page=more.format(1, 1)),
        listed(at(20, body="Newer"), at(-60), at(2, sid="SM_it"), next_page=more.format(2, 2)),
        listed(at(-100), at(-200), next_page=more.format(3, 3)),
        listed(at(1, sid="SM_never_reached")),
    )
    assert find() == Receipt("SM_it", DeliveryStatus.QUEUED)
    assert [request.query.get("PageToken") for request in api.requests] == [None, "PA1", "PA2"]


@pytest.mark.parametrize(
    "step",
    [
        drop,
        reset,
        cut,
        hang,
        trickle,
        error(500, 20500),
        error(429, 20429),
        error(401, 20003),
        raw_answer(200, b"<html>"),
        raw_answer(200, b"[]"),
        json_answer(200, {"messages": [{}]}),
        json_answer(200, {"messages": None}),
    ],
)
def test_what_cannot_be_looked_up_now_is_looked_up_later(api, step):
    api.answers(step)
    started = time.monotonic()
    with pytest.raises(SendLater):
        find(timeout=0.5)
    assert time.monotonic() - started < 2


def test_an_endless_list_is_given_up_within_the_deadline(api):
    api.answers(listed(at(1, body="Newer"), next_page=MESSAGES + "?Page=1"))
    with pytest.raises(SendLater):
        find(timeout=0.3)


# --- Typing -----------------------------------------------------------------------------------------------------------


def test_typing_is_shown_on_whatsapp(api):
    api.answers(json_answer(200, {"success": True}))
    TwilioChannel().show_typing(WHATSAPP, "SM1")
    [request] = api.requests
    assert (request.method, request.path) == ("POST", "/v2/Indicators/Typing.json")
    assert dict(request.form) == {"channel": "whatsapp", "messageId": "SM1"}


def test_typing_is_not_shown_on_sms(api):
    TwilioChannel().show_typing(SMS, "SM1")
    assert api.requests == []


@pytest.mark.parametrize("step", [drop, reset, error(400, 63999), error(500, 20500), raw_answer(200, b"<html>")])
def test_typing_never_fails(api, step):
    api.answers(step)
    TwilioChannel().show_typing(WHATSAPP, "SM1")
    assert len(api.requests) == 1


def test_typing_never_takes_long(api):
    api.answers(hang)
    started = time.monotonic()
    TwilioChannel().show_typing(WHATSAPP, "SM1")
    assert time.monotonic() - started < 3
