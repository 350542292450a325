"""A message comes in over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from twilio.request_validator import RequestValidator

from channels_twilio.models import TwilioAccount, TwilioSender
from conversations.models import ChannelAccount, Contact, Medium, Message, Workspace
from queueing.models import Job

from .conftest import add_sender
from .outbound import outbound
from .signed_requests import AUTH_TOKEN, BASE_URL, FORM, INBOUND, STATUS, message, post

SERVICE = "MG0fedcba90fedcba90fedcba90fedcba9"


@pytest.mark.parametrize("path", [INBOUND, STATUS])
def test_only_post_is_answered(client, path):
    assert client.get(path).status_code == 405


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"MessageSid": ""}, "MessageSid"),
        ({"MessageSid": "S" * 65}, "MessageSid"),
        ({"From": ""}, "From"),
        ({"From": "+" + "1" * 100}, "From"),
        ({"To": ""}, "To"),
        ({"To": "whatsapp:"}, "To"),
        ({"From": "messenger:123", "To": "messenger:456"}, "channel"),
    ],
)
def test_a_signed_request_that_is_no_message_is_told_why(client, sms, params, words):
    response = post(client, INBOUND, message(**params))
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/plain")
    assert words in response.content.decode()
    assert not Message.objects.exists()


@pytest.mark.parametrize("path", [INBOUND, STATUS])
@pytest.mark.parametrize("body", ["AccountSid=" + "A" * 1000, urlencode([("a", "b")] * 31)], ids=["bytes", "fields"])
@pytest.mark.django_db
def test_too_large_a_request_is_refused_before_anything_else(client, settings, path, body, django_assert_num_queries):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 30
    with django_assert_num_queries(0):
        response = client.generic("POST", path, body, content_type=FORM, headers={"X-Twilio-Signature": "x"})
    assert response.status_code == 413
    assert response["Content-Type"].startswith("text/plain")


def test_a_form_in_another_encoding_is_refused(client, sms):
    response = client.generic("POST", INBOUND, "a=b", content_type=FORM + "; charset=latin-1")
    assert response.status_code in (400, 403)


def test_a_known_number_costs_two_queries_beside_the_inbox(client, sms, django_assert_max_num_queries):
    post(client, INBOUND, message())
    with django_assert_max_num_queries(3) as queries:  # account, sender, and the inbox's look for a duplicate
        post(client, INBOUND, message())
    assert sum("twilioaccount" in query["sql"].split("WHERE")[0] for query in queries) == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="with PostgreSQL's clock and locks there are others")
def test_a_new_message_costs_few_statements(client, sms, django_assert_num_queries):
    """With the savepoints: each statement is one that holds up the other writers of an SQLite database."""
    with django_assert_num_queries(21):  # contact, conversation and job are made
        post(client, INBOUND, message())
    with django_assert_num_queries(11):  # they are there
        post(client, INBOUND, message(MessageSid="SM2"))


def test_what_nobody_announced_is_kept(client, sms):
    post(client, INBOUND, message(BrandNew="thing", MessageType="hologram"))
    stored = Message.objects.get()
    assert stored.kind == "hologram"
    assert stored.raw["BrandNew"] == "thing"


def test_nul_is_signed_and_not_stored(client, sms):
    post(client, INBOUND, message(Body="a\0b", ProfileName="A\0na"))
    stored = Message.objects.get()
    assert (stored.text, stored.raw["Body"], Contact.objects.get().name) == ("ab", "ab", "Ana")


def test_a_number_bought_after_the_setup_becomes_a_channel_account(client, account):
    assert post(client, INBOUND, message(To="+15550100099")).status_code == 200

    sender = TwilioSender.objects.get()
    assert sender.account == account
    assert sender.channel_account == Message.objects.get().channel_account
    assert (sender.channel_account.address, sender.channel_account.medium) == ("+15550100099", Medium.SMS)
    assert sender.channel_account.workspace == account.workspace


def test_one_number_on_two_media_is_two_channel_accounts(client, account):
    post(client, INBOUND, message(To="+15550100099"))
    post(client, INBOUND, message(To="whatsapp:+15550100099", From="whatsapp:+15550108888", MessageSid="SM2"))
    assert set(ChannelAccount.objects.values_list("medium", flat=True)) == {"sms", "whatsapp"}


def test_a_number_behind_a_messaging_service_is_found_by_the_service(client, account):
    service = add_sender(account, Medium.SMS, "+15550100001", SERVICE)
    post(client, INBOUND, message(To="+15550100077", MessagingServiceSid=SERVICE))
    assert Message.objects.get().channel_account == service


def test_the_number_goes_before_the_messaging_service(client, account):
    add_sender(account, Medium.SMS, "+15550100001", SERVICE)
    exact = add_sender(account, Medium.SMS, "+15550100002", SERVICE)
    post(client, INBOUND, message(MessagingServiceSid=SERVICE))
    assert Message.objects.get().channel_account == exact


def test_a_number_that_moved_between_accounts_of_a_workspace_is_sent_from_by_the_new_one(client, account, workspace):
    old = TwilioAccount.objects.create(workspace=workspace, account_sid="AC" + "0" * 32, auth_token="e" * 32)
    number = add_sender(old, Medium.SMS, "+15550100002")
    post(client, INBOUND, message())
    assert Message.objects.get().channel_account == number
    assert TwilioSender.objects.get().account == account


def test_a_number_of_another_tenant_is_not_theirs_to_write_to(client, account):
    stranger = Workspace.objects.create(name="Other", slug="other")
    theirs = TwilioAccount.objects.create(workspace=stranger, account_sid="AC" + "0" * 32, auth_token="e" * 32)
    add_sender(theirs, Medium.SMS, "+15550100002")

    post(client, INBOUND, message())

    assert Message.objects.get().conversation.workspace == account.workspace
    assert TwilioSender.objects.filter(account=theirs).count() == 1


@pytest.mark.django_db(transaction=True)
def test_copies_that_come_at_once_to_a_new_number_are_stored_once(account):
    def deliver(_: int) -> int:
        try:
            return post(Client(), INBOUND, message(To="+15550100099")).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(deliver, range(12))) == {200}
    assert Message.objects.count() == TwilioSender.objects.count() == ChannelAccount.objects.count() == 1
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_different_messages_that_come_at_once_are_all_stored(account):
    def deliver(number: int) -> int:
        try:
            return post(Client(), INBOUND, message(To="+15550100099", MessageSid=f"SM{number}")).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(deliver, range(12))) == {200}
    assert Message.objects.count() == 12
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "params",
    [
        {"From": "whatsapp:US.13491208655302741", "To": "whatsapp:+15550100001", "ExternalUserId": "whatsapp:US.1349"},
        {"To": "12345"},
        {"From": "67890"},
        {"Body": "SGVsbG8="},
        {"Body": "a\0b"},
        {"ProfileName": "n" * 1000, "MessageType": "k" * 100, "MessagingServiceSid": "MG" + "0" * 200},
        {"NumMedia": "1", "MediaUrl0": "https://x/" + "y" * 2000, "MediaContentType0": "z" * 500},
        {"OriginalRepliedMessageSid": "SM\0"},
        {"a\0b": "c\0d", "é": "\U0001f44b", "": "nameless"},
    ],
)
def test_whatever_twilio_signs_is_stored(client, account, params):
    assert post(client, INBOUND, message(**params)).status_code == 200
    assert Message.objects.get().text == message(**params)["Body"].replace("\0", "")


def test_a_message_without_a_body_parameter_is_stored(client, sms):
    params = message()
    del params["Body"]
    assert post(client, INBOUND, params).status_code == 200
    assert Message.objects.get().text == ""


def test_invalid_utf8_is_stored_as_it_was_validated(client, sms):
    body = urlencode(message(Body="")).encode() + b"&Body=caf%E9"
    signature = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + INBOUND, QueryDict(body))
    response = client.generic("POST", INBOUND, body, content_type=FORM, headers={"X-Twilio-Signature": signature})
    assert response.status_code == 200
    assert Message.objects.get().text == "caf\ufffd"


def test_a_reply_is_not_linked_to_a_message_of_another_tenant(client, sms):
    stranger = Workspace.objects.create(name="Other", slug="other")
    theirs = TwilioAccount.objects.create(workspace=stranger, account_sid="AC" + "0" * 32, auth_token="e" * 32)
    outbound(add_sender(theirs, Medium.SMS, "+15550100009"), external_id="SM9")
    post(client, INBOUND, message(OriginalRepliedMessageSid="SM9"))
    assert Message.objects.get(external_id=message()["MessageSid"]).quoted is None


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "recado.internal", ""])
def test_a_proxy_may_call_us_by_a_name_of_its_own(client, sms, host):
    body = urlencode(message())
    signature = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + INBOUND, QueryDict(body))
    headers = {"X-Twilio-Signature": signature, "Host": host, "X-Forwarded-Host": "evil.example.com"}
    assert client.generic("POST", INBOUND, body, content_type=FORM, headers=headers).status_code == 200
