"""After `rotate_secrets` the earlier SECRET_KEY can be thrown away, and what it could not open is untouched."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from channels_twilio.management.commands import rotate_secrets
from channels_twilio.models import TwilioAccount

from .signed_requests import AUTH_TOKEN

NEW_KEY, LOST_KEY = "n" * 60, "l" * 60


@pytest.fixture
def second(account, settings, monkeypatch):
    """Another account, in a batch of its own; the key has just been changed."""
    monkeypatch.setattr(rotate_secrets, "BATCH", 1)
    second = TwilioAccount.objects.create(
        workspace=account.workspace,
        account_sid="AC" + "7" * 32,
        auth_token="one",
        next_auth_token="two",
        api_key_secret="three",
    )
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, [settings.SECRET_KEY]
    return second


def stored() -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        columns = "auth_token, next_auth_token, api_key_secret"
        cursor.execute(f"SELECT {columns} FROM channels_twilio_twilioaccount ORDER BY id")
        return cursor.fetchall()


def test_the_old_key_is_not_needed_any_more(second, account, settings, capsys):
    call_command("rotate_secrets")
    call_command("rotate_secrets")
    settings.SECRET_KEY_FALLBACKS = []
    second.refresh_from_db()
    account.refresh_from_db()
    assert (second.auth_token, second.next_auth_token, second.api_key_secret) == ("one", "two", "three")
    assert (account.auth_token, account.next_auth_token, account.api_key_secret) == (AUTH_TOKEN, "", "")
    said = capsys.readouterr().out
    assert "4 secrets" in said
    assert AUTH_TOKEN not in said


def test_what_no_key_opens_is_named_and_left_alone(second, account, settings):
    kept, settings.SECRET_KEY = settings.SECRET_KEY, LOST_KEY
    TwilioAccount.objects.filter(pk=account.pk).update(auth_token="sealed")
    settings.SECRET_KEY = kept
    before = stored()
    with pytest.raises(CommandError, match=f"TwilioAccount {account.pk}: auth_token"):
        call_command("rotate_secrets")
    assert stored()[0] == before[0]
    settings.SECRET_KEY_FALLBACKS = []
    second.refresh_from_db()
    assert second.auth_token == "one"  # the others were rotated
