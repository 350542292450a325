"""Operators keep Twilio accounts in the admin: a token goes in and never comes out."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse

from channels_twilio.models import StatusEvent, TwilioAccount

from .outbound import NOW
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN

ACCOUNTS = "admin:channels_twilio_twilioaccount"


@pytest.fixture
def operator(admin_client, settings):
    settings.STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    return admin_client


def save(operator, account: TwilioAccount, **changes: str) -> None:
    form = {
        "workspace": account.workspace_id,
        "account_sid": account.account_sid,
        "auth_token": "",
        "next_auth_token": "",
    }
    response = operator.post(reverse(f"{ACCOUNTS}_change", args=[account.pk]), form | changes)
    assert response.status_code == 302, response.context["adminform"].form.errors
    account.refresh_from_db()


def test_no_page_shows_a_token(operator, account):
    account.next_auth_token = "f" * 32
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
    form = {"workspace": workspace.pk, "account_sid": ACCOUNT_SID, "auth_token": "", "next_auth_token": ""}
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
