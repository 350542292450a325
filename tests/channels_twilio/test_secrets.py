"""Tokens at rest hang on SECRET_KEY. When that is changed no message is lost, and everyone is told what to do."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.urls import reverse

from channels_twilio.channel import TwilioChannel
from channels_twilio.models import TwilioAccount
from conversations.channels import SendLater
from conversations.models import Message

from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, INBOUND, STATUS, message, post

ANOTHER_KEY = "another key, longer than fifty characters, and of no use for what is stored"


@pytest.fixture
def changed_key(sms, settings):
    settings.SECRET_KEY, earlier = ANOTHER_KEY, settings.SECRET_KEY
    return earlier


def serious() -> list[bool]:
    return [check.is_serious() for check in run_checks(tags=["database"], databases=["default"])]


def test_the_database_holds_no_readable_token(account):
    with connection.cursor() as cursor:
        cursor.execute("SELECT auth_token FROM channels_twilio_twilioaccount")
        assert AUTH_TOKEN not in cursor.fetchone()[0]


@pytest.mark.parametrize("target", [INBOUND, STATUS])
def test_a_webhook_that_cannot_be_verified_is_to_come_again(client, changed_key, target):
    response = post(client, target, message(MessageStatus="sent"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert not Message.objects.exists()


def test_the_earlier_key_opens_them(client, changed_key, settings):
    settings.SECRET_KEY_FALLBACKS = [changed_key]
    assert post(client, INBOUND, message()).status_code == 200


def test_a_readable_token_still_says_no_and_yes_beside_an_unreadable_one(client, changed_key):
    TwilioAccount.objects.update(auth_token="anew")
    assert post(client, INBOUND, message(), token="anew").status_code == 200
    assert post(client, INBOUND, message(), token="wrong").status_code == 403


def test_messages_wait_until_the_token_is_known_again(changed_key, sms):
    with pytest.raises(SendLater, match="SECRET_KEY"):
        TwilioChannel().prepare(sms.pk)


def test_the_checks_refuse_a_key_that_opens_nothing_and_warn_of_one_that_opens_some(changed_key, workspace):
    assert serious() == [True]
    TwilioAccount.objects.create(workspace=workspace, account_sid="AC" + "7" * 32, auth_token="anew")
    assert serious() == [False]
    TwilioAccount.objects.update(auth_token="anew")
    assert serious() == []


def test_an_operator_enters_the_token_anew_and_what_is_left_empty_stays_sealed(
    client, admin_user, changed_key, settings
):
    client.force_login(admin_user)
    settings.STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    account = TwilioAccount.objects.get()
    assert ACCOUNT_SID in client.get(reverse("admin:channels_twilio_twilioaccount_changelist")).content.decode()
    url = reverse("admin:channels_twilio_twilioaccount_change", args=[account.pk])
    form = {
        "workspace": account.workspace_id,
        "account_sid": ACCOUNT_SID,
        "senders-INITIAL_FORMS": "0",
        "senders-TOTAL_FORMS": "0",
    }

    assert client.post(url, form | {"auth_token": ""}).status_code == 302
    settings.SECRET_KEY, new_key = changed_key, settings.SECRET_KEY
    assert TwilioAccount.objects.get().auth_token == AUTH_TOKEN  # nothing was written over it
    settings.SECRET_KEY = new_key

    assert client.post(url, form | {"auth_token": "anew"}).status_code == 302
    assert TwilioAccount.objects.get().auth_token == "anew"
