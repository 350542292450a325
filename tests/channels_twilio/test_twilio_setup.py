"""One command connects an account: it tests the token, takes the senders, and sets what Twilio calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from channels_twilio import transport
from channels_twilio.models import TwilioAccount, TwilioSender
from channels_twilio.webhook_urls import inbound_url, status_url
from conversations.models import Workspace

from .api_stand_in import Api, api_stand_in, error, json_answer
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN

ACCOUNT = f"/2010-04-01/Accounts/{ACCOUNT_SID}.json"
PHONES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers"
SENDERS = "/v2/Channels/Senders"
PN, XE, MG = "PN" + "1" * 32, "XE" + "1" * 32, "MG" + "1" * 32


@pytest.fixture
def twilio(settings: Any, transactional_db: None) -> Iterator[Api]:
    """An account with one number and one WhatsApp sender."""
    Workspace.objects.create(name="Clinic", slug="default")
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    settings.TWILIO_FROM = ["whatsapp:+15550100001"]
    phone = {"sid": PN, "phone_number": "+15550100002", "sms_url": "https://demo.twilio.com/", "sms_fallback_url": ""}
    sender = {"sid": XE, "sender_id": "whatsapp:+15550100001", "webhook": None, "status": "ONLINE"}
    meta = {"key": "senders", "next_page_url": None, "page": 0, "page_size": 50}
    answers = {
        ACCOUNT: {"sid": ACCOUNT_SID, "status": "active"},
        f"{PHONES}.json": {"incoming_phone_numbers": [phone], "next_page_uri": None},
        f"{PHONES}/{PN}.json": phone,
        SENDERS: {"senders": [sender], "meta": meta},
        f"{SENDERS}/{XE}": sender,
        f"/v1/Services/{MG}": {"sid": MG},
    }
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        api.answers(lambda handler: json_answer(200, answers[handler.path.partition("?")[0]])(handler))
        yield api
        transport.connections.close()
        transport.open_connections()


def changed(api: Api) -> dict[str, dict[str, str]]:
    return {request.path: dict(request.form) for request in api.requests if request.method == "POST"}


def test_it_connects_what_the_environment_names_and_offers_the_rest(twilio, capsys):
    call_command("twilio_setup")
    assert str(TwilioSender.objects.get().channel_account) == "WhatsApp +15550100001"
    assert TwilioAccount.objects.get().auth_token == AUTH_TOKEN
    said = capsys.readouterr().out
    assert "add --sender +15550100002" in said
    assert inbound_url() in said
    assert status_url() in said
    assert AUTH_TOKEN not in said
    assert changed(twilio) == {}


def test_done_again_it_changes_nothing(twilio, capsys):
    call_command("twilio_setup", "--all")
    TwilioSender.objects.update(messaging_service_sid=MG)
    capsys.readouterr()
    call_command("twilio_setup")
    assert "connected." not in capsys.readouterr().out
    assert list(TwilioSender.objects.values_list("messaging_service_sid", flat=True)) == [MG, MG]


def test_it_sets_the_webhooks_of_its_numbers_and_of_their_service(twilio, capsys):
    call_command("twilio_setup", "--all", "--set-webhooks", "--messaging-service", MG)
    made = changed(twilio)
    assert made[f"{PHONES}/{PN}.json"] == {
        "SmsUrl": inbound_url(),
        "SmsMethod": "POST",
        "SmsFallbackUrl": inbound_url(),
        "SmsFallbackMethod": "POST",
    }
    service = made[f"/v1/Services/{MG}"]
    assert (service["InboundRequestUrl"], service["FallbackUrl"]) == (inbound_url(), inbound_url())
    assert service["StatusCallback"] == status_url()
    (whatsapp,) = (json.loads(request.body) for request in twilio.requests if request.path == f"{SENDERS}/{XE}")
    assert whatsapp["webhook"] == {
        "callback_url": inbound_url(),
        "callback_method": "POST",
        "fallback_url": inbound_url(),
        "fallback_method": "POST",
        "status_callback_url": status_url(),
        "status_callback_method": "POST",
    }


def test_what_the_api_cannot_change_is_said(twilio, capsys):
    call_command("twilio_setup", "--sender", "12345", "--set-webhooks")
    assert "12345: no number of this account that the API can change" in capsys.readouterr().out
    assert changed(twilio) == {}


def test_a_dry_run_changes_nothing_anywhere(twilio, capsys):
    call_command("twilio_setup", "--all", "--set-webhooks", "--messaging-service", MG, "--dry-run")
    assert not TwilioAccount.objects.exists()
    assert changed(twilio) == {}
    assert "+15550100002: would be set." in capsys.readouterr().out


def test_a_wrong_token_is_not_stored(twilio):
    twilio.answers(error(401, 20003))
    with pytest.raises(CommandError, match="Twilio refuses it"):
        call_command("twilio_setup")
    assert not TwilioAccount.objects.exists()


def test_an_answer_in_the_middle_that_is_none_ends_it_with_words(twilio):
    twilio.answers(json_answer(200, {"sid": ACCOUNT_SID, "status": "active"}), error(503, 20503, AUTH_TOKEN))
    with pytest.raises(CommandError, match="Twilio did not do it") as failure:
        call_command("twilio_setup")
    assert AUTH_TOKEN not in str(failure.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TWILIO_AUTH_TOKEN", "", "TWILIO_AUTH_TOKEN"),
        ("TWILIO_ACCOUNT_SID", "", "TWILIO_ACCOUNT_SID"),
        ("TWILIO_FROM", ["+1 555"], "is not a sender"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(twilio, settings, name, value, words):
    setattr(settings, name, value)
    with pytest.raises(CommandError, match=words):
        call_command("twilio_setup")
    assert twilio.requests == []
