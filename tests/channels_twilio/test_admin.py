"""Operators keep Twilio accounts in the admin: a token goes in, is tested, and never comes out."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse

from channels_twilio import transport
from channels_twilio.models import StatusEvent, TwilioAccount, TwilioSender

from .api_stand_in import api_stand_in, drop, error, json_answer, raw_answer
from .outbound import NOW
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN

NO_SENDERS = {"senders-TOTAL_FORMS": "0", "senders-INITIAL_FORMS": "0"}
ACCOUNTS = "admin:channels_twilio_twilioaccount"


@pytest.fixture
def operator(admin_client, settings):
    settings.STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    return admin_client


def save(operator, account: TwilioAccount, **changes: str) -> list[str]:
    """Returns what the operator is told."""
    form = {"workspace": account.workspace_id, "account_sid": account.account_sid} | NO_SENDERS
    response = operator.post(reverse(f"{ACCOUNTS}_change", args=[account.pk]), form | changes, follow=True)
    assert response.redirect_chain, response.context["errors"]
    account.refresh_from_db()
    return [str(message) for message in response.context["messages"]]


def test_no_page_shows_a_token(operator, account):
    for secret in ("next_auth_token", "api_key_secret", "shared_key_secret"):
        setattr(account, secret, "f" * 32)
    account.save()
    pages = [reverse(f"{ACCOUNTS}_changelist"), reverse(f"{ACCOUNTS}_change", args=[account.pk])]
    for page in pages:
        html = operator.get(page).content.decode()
        assert ACCOUNT_SID in html
        assert AUTH_TOKEN not in html
        assert "f" * 32 not in html


def test_an_empty_field_keeps_the_token(operator, account):
    save(operator, account)
    assert (account.auth_token, account.next_auth_token) == (AUTH_TOKEN, "")


def test_a_new_token_is_stored_encrypted_and_not_logged(operator, account):
    save(operator, account, next_auth_token="f" * 32)
    assert (account.auth_token, account.next_auth_token) == (AUTH_TOKEN, "f" * 32)
    with connection.cursor() as cursor:
        cursor.execute("select auth_token, next_auth_token from channels_twilio_twilioaccount")
        stored = "".join(cursor.fetchone())
    assert AUTH_TOKEN not in stored
    assert "f" * 32 not in stored
    assert "f" * 32 not in LogEntry.objects.get().change_message


def test_a_new_account_needs_a_token(operator, workspace):
    form = {"workspace": workspace.pk, "account_sid": ACCOUNT_SID} | NO_SENDERS
    response = operator.post(reverse(f"{ACCOUNTS}_add"), form)
    assert "auth_token" in response.context["adminform"].form.errors
    assert not TwilioAccount.objects.exists()


def test_finishing_a_rotation_makes_the_secondary_token_the_token(operator, account):
    save(operator, account, next_auth_token="f" * 32)
    form = {"action": "finish_rotation", "_selected_action": [account.pk]}
    assert operator.post(reverse(f"{ACCOUNTS}_changelist"), form, follow=True).status_code == 200
    account.refresh_from_db()
    assert (account.auth_token, account.next_auth_token) == ("f" * 32, "")

    operator.post(reverse(f"{ACCOUNTS}_changelist"), form)  # nothing is being rotated now: nothing happens
    account.refresh_from_db()
    assert account.auth_token == "f" * 32


# --- Tested, and connected --------------------------------------------------------------------------------------------


@pytest.fixture
def api(settings, transactional_db):
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        yield api
        transport.connections.close()
        transport.open_connections()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (json_answer(200, {"sid": ACCOUNT_SID, "status": "active"}), "Twilio accepts these credentials."),
        (json_answer(200, {"sid": ACCOUNT_SID, "status": "suspended"}), "suspended"),
        (json_answer(200, {"sid": ACCOUNT_SID, "status": "closed"}), "closed"),
        (error(401, 20003), "auth token: Twilio refuses it."),
        (error(404, 20404), "no such account"),
        (error(403, 20403), "may not read"),
        (error(503, 20503), "not tested"),
        (drop, "could not be reached"),
        (raw_answer(200, b"<html>"), "not Twilio's API"),
    ],
)
def test_credentials_are_tested_when_they_are_saved_and_kept_whatever_comes_out(api, account, operator, answer, said):
    api.answers(answer)
    (told,) = [text for text in save(operator, account, auth_token="e" * 32) if "was changed" not in text]
    assert said in told
    assert account.auth_token == "e" * 32


def test_each_of_several_credentials_is_tested(api, account, operator):
    api.answers(json_answer(200, {"status": "active"}), error(401, 20003), json_answer(200, {"status": "active"}))
    told = save(operator, account, next_auth_token="f" * 32, api_key_sid="SK" + "1" * 32, api_key_secret="of the key")
    assert [text for text in told if "refuses" in text] == [
        "secondary auth token: Twilio refuses it. The account SID or the secret is wrong."
    ]
    assert [request.path for request in api.requests] == [f"/2010-04-01/Accounts/{ACCOUNT_SID}.json"] * 3
    assert len({request.authorization for request in api.requests}) == 3


def test_the_addresses_to_paste_are_shown(operator, account):
    html = operator.get(reverse(f"{ACCOUNTS}_change", args=[account.pk])).content.decode()
    assert html.count("https://bot.example.com/webhooks/twilio/inbound/#rc=5&amp;rp=all&amp;ct=2000&amp;rt=4000") == 2
    assert "https://bot.example.com/webhooks/twilio/status/#rc=5" in html


def sender(medium: str, address: str) -> dict[str, str]:
    entered = {"medium": medium, "address": address, "messaging_service_sid": "MG1"}
    return {"senders-TOTAL_FORMS": "1"} | {f"senders-0-{name}": value for name, value in entered.items()}


def test_a_sender_is_entered_with_its_account(operator, account):
    save(operator, account, **sender("whatsapp", "+15550100001"))
    entered = TwilioSender.objects.get()
    assert (entered.account, entered.messaging_service_sid) == (account, "MG1")
    assert str(entered.channel_account) == "WhatsApp +15550100001"
    assert (entered.channel_account.workspace, entered.channel_account.channel) == (account.workspace, "twilio")


def test_the_empty_row_for_one_more_sender_is_in_nobodys_way(operator, account):
    """A browser sends its first medium, which is chosen from the beginning."""
    untouched = sender("whatsapp", "") | {"senders-0-messaging_service_sid": ""}
    save(operator, account, next_auth_token="f" * 32, **untouched)
    assert account.next_auth_token == "f" * 32
    assert not TwilioSender.objects.exists()


def test_an_account_is_entered_with_its_first_sender_in_one_step(operator, workspace):
    form = {"workspace": workspace.pk, "account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN} | NO_SENDERS
    response = operator.post(reverse(f"{ACCOUNTS}_add"), form | sender("sms", "+15550100002"))
    assert response.status_code == 302, response.context["errors"]
    entered = TwilioSender.objects.get()
    assert (entered.account.account_sid, entered.channel_account.workspace) == (ACCOUNT_SID, workspace)


@pytest.mark.parametrize("address", ["+15550100002", "whatsapp:+15550100009", "5550100009"])
def test_a_number_that_is_taken_or_none_is_not_entered(operator, account, sms, address):
    form = {"workspace": account.workspace_id, "account_sid": ACCOUNT_SID} | NO_SENDERS
    other = TwilioAccount.objects.create(workspace=account.workspace, account_sid="AC" + "7" * 32, auth_token="x")
    url = reverse(f"{ACCOUNTS}_change", args=[other.pk])
    response = operator.post(url, form | {"account_sid": other.account_sid} | sender("sms", address))
    assert response.status_code == 200
    assert "address" in response.context["inline_admin_formsets"][0].formset.errors[0]
    assert TwilioSender.objects.count() == 1


# --- What else is there to see ----------------------------------------------------------------------------------------


def test_a_callback_can_be_read_and_not_changed(operator, db):
    event = StatusEvent.objects.create(
        account_sid=ACCOUNT_SID, external_id="SM1", status="sent", raw={"MessageStatus": "sent"}, received_at=NOW
    )
    page = reverse("admin:channels_twilio_statusevent_change", args=[event.pk])
    assert operator.get(reverse("admin:channels_twilio_statusevent_changelist") + "?q=SM1").status_code == 200
    assert operator.get(page).status_code == 200
    assert operator.post(page, {"status": "read"}).status_code == 403


def test_senders_can_be_listed_and_added(operator, sms):
    assert "+15550100002" in operator.get(reverse("admin:channels_twilio_twiliosender_changelist")).content.decode()
    assert operator.get(reverse("admin:channels_twilio_twiliosender_add")).status_code == 200
