"""News of what we sent, over HTTP."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from twilio.request_validator import RequestValidator

from channels_twilio.models import StatusEvent, TwilioAccount
from conversations.models import DeliveryStatus, Medium, Message, Workspace

from .conftest import add_sender
from .outbound import outbound
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, FORM, STATUS, post

SID = "SM00000000000000000000000000000009"


def news(status: str, **params: str) -> dict[str, str]:
    return {"MessageSid": SID, "MessageStatus": status, "AccountSid": ACCOUNT_SID} | params


def test_a_callback_that_comes_before_our_own_commit_of_the_send_tells_the_sid(client, sms):
    message = outbound(sms, status=DeliveryStatus.SENDING)

    assert post(client, f"{STATUS}?m={message.pk}", news("sent")).status_code == 204

    message.refresh_from_db()
    assert (message.external_id, message.delivery_status) == (SID, DeliveryStatus.SENT)
    assert message.sent_at
    event = StatusEvent.objects.get()
    assert (event.message_id, event.account_sid) == (message.pk, ACCOUNT_SID)


def test_a_callback_about_another_sid_does_not_touch_a_message_that_has_its_own(client, sms):
    message = outbound(sms, external_id="SM1")
    post(client, f"{STATUS}?m={message.pk}", news("delivered"))
    message.refresh_from_db()
    assert (message.external_id, message.delivery_status) == ("SM1", DeliveryStatus.QUEUED)


def test_the_holder_of_the_sid_goes_before_the_one_that_the_url_names(client, sms):
    holder, other = outbound(sms, external_id=SID), outbound(sms, status=DeliveryStatus.UNKNOWN)
    assert post(client, f"{STATUS}?m={other.pk}", news("read")).status_code == 204
    holder.refresh_from_db(), other.refresh_from_db()
    assert (holder.delivery_status, other.delivery_status) == (DeliveryStatus.READ, DeliveryStatus.UNKNOWN)


def test_messages_of_another_tenant_are_not_touched(client, sms):
    stranger = Workspace.objects.create(name="Other", slug="other")
    theirs = TwilioAccount.objects.create(workspace=stranger, account_sid="AC" + "0" * 32, auth_token="e" * 32)
    add_sender(theirs, Medium.SMS, "+15550100003")
    messages = [outbound(sms, external_id=SID), outbound(sms, status=DeliveryStatus.SENDING)]
    for message in messages:
        forged = news("failed", AccountSid=theirs.account_sid)
        assert post(client, f"{STATUS}?m={message.pk}", forged, token="e" * 32).status_code == 204
    assert list(Message.objects.order_by("pk").values_list("delivery_status", "external_id")) == [
        (DeliveryStatus.QUEUED, SID),
        (DeliveryStatus.SENDING, ""),
    ]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"MessageSid": "", "MessageStatus": "sent"},
        {"MessageSid": "S" * 500, "MessageStatus": "x" * 500, "ErrorCode": "9" * 500},
        {"MessageSid": SID, "MessageStatus": "teleported"},
        {"MessageSid": "\0", "MessageStatus": "\0", "\0": "\0"},
        {"SmsSid": SID, "SmsStatus": "delivered"},
    ],
)
@pytest.mark.parametrize("query", ["", "?m=", "?m=x", "?m=999999", "?m=99999999999999999999", "?m=1&m=2"])
def test_garbage_is_kept_and_answered(client, sms, params, query):
    outbound(sms, status=DeliveryStatus.DRAFT)
    assert post(client, STATUS + query, params | {"AccountSid": ACCOUNT_SID}).status_code == 204
    event = StatusEvent.objects.get()
    assert len(event.external_id) <= 34
    assert len(event.status) <= 30
    assert len(event.error_code) <= 20
    assert Message.objects.get().delivery_status == DeliveryStatus.DRAFT


def test_an_unsigned_callback_stores_nothing(client, sms):
    message = outbound(sms, external_id=SID)
    assert post(client, STATUS, news("read"), token="0" * 32).status_code == 403
    message.refresh_from_db()
    assert message.delivery_status == DeliveryStatus.QUEUED
    assert not StatusEvent.objects.exists()


def test_the_id_in_the_url_is_signed_too(client, sms):
    body = urlencode(news("sent"))
    signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{BASE_URL}{STATUS}?m=1", QueryDict(body))
    for carried, answer in (("2", 403), ("1", 204)):
        headers = {"X-Twilio-Signature": signature}
        response = client.generic("POST", f"{STATUS}?m={carried}", body, content_type=FORM, headers=headers)
        assert response.status_code == answer


def test_a_callback_costs_few_queries(client, sms, django_assert_num_queries):
    message = outbound(sms, external_id=SID)
    with django_assert_num_queries(6):  # account, savepoint, event, which message, its status, savepoint
        post(client, f"{STATUS}?m={message.pk}", news("sent"))
