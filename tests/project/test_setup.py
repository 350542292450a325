"""`manage.py setup`, as often and as simultaneously as anyone likes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from channels_twilio.models import TwilioAccount, TwilioSender
from conversations.models import ChannelAccount, Workspace
from project.management.commands.setup import parse_address
from tests.conftest import ROOT

SID = "AC" + "0" * 32
SANDBOX = {"SANDBOX": "1", "PUBLIC_BASE_URL": "http://127.0.0.1:8000"}


@pytest.fixture
def twilio(settings: Settings) -> Settings:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = SID, "first token"
    settings.TWILIO_FROM = ["whatsapp:+14155238886", "+15005550006"]
    return settings


@pytest.mark.django_db
def test_setup_connects_the_twilio_account_and_its_senders(twilio: Settings) -> None:
    call_command("setup")
    account = TwilioAccount.objects.get()
    assert (account.account_sid, account.auth_token, account.workspace) == (SID, "first token", Workspace.objects.get())
    senders = TwilioSender.objects.values_list("channel_account__medium", "channel_account__address", "account__pk")
    assert sorted(senders) == [("sms", "+15005550006", account.pk), ("whatsapp", "+14155238886", account.pk)]


@pytest.mark.django_db
def test_setup_again_changes_nothing(twilio: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("setup")
    capsys.readouterr()
    call_command("setup")
    assert capsys.readouterr().out == "Database: up to date.\n"
    assert (Workspace.objects.count(), TwilioAccount.objects.count(), ChannelAccount.objects.count()) == (1, 1, 2)


@pytest.mark.django_db
def test_the_workspace_writes_in_the_language_of_the_installation(settings: Settings) -> None:
    settings.LANGUAGE_CODE = "pt-br"
    call_command("setup")
    assert Workspace.objects.get().locale == "pt-br"


@pytest.mark.django_db
def test_setup_takes_a_changed_token(twilio: Settings) -> None:
    call_command("setup")
    twilio.TWILIO_AUTH_TOKEN = "second token"
    call_command("setup")
    assert TwilioAccount.objects.get().auth_token == "second token"


@pytest.mark.django_db
def test_setup_replaces_a_token_that_a_new_secret_key_cannot_read(twilio: Settings) -> None:
    call_command("setup")
    twilio.SECRET_KEY = "another key"
    call_command("setup")
    assert TwilioAccount.objects.get().auth_token == "first token"


@pytest.mark.django_db
def test_setup_refuses_an_account_without_a_token(twilio: Settings) -> None:
    twilio.TWILIO_AUTH_TOKEN = ""
    with pytest.raises(CommandError, match="TWILIO_AUTH_TOKEN"):
        call_command("setup")
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("text", ["", "whatsapp:", "415 523 8886", "messenger:+14155238886", "whatsapp:12345678901"])
def test_what_is_no_sender_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="TWILIO_FROM"):
        parse_address(text)


def test_two_setups_at_once_on_an_empty_database(process_env: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "setup"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, env=process_env | SANDBOX, **pipes) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("up to date" in output for output in outputs) == [False, True]


def test_setup_refuses_what_the_checks_refuse(manage: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = manage("setup", QUEUE_URL="carrier-pigeon://loft")
    assert result.returncode == 1
    assert "queueing.E001" in result.stderr
    assert "Traceback" not in result.stderr
