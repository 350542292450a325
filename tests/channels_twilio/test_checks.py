"""`manage.py check` names every setting that would lose messages, let strangers in or give the token away."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

REAL = {"TWILIO_ACCOUNT_SID": "AC" + "1" * 32, "TWILIO_AUTH_TOKEN": "2" * 32}


def complaints() -> set[str]:
    return {message.id.removeprefix("twilio.") for message in run_checks(tags=["twilio"])}


@pytest.fixture
def sandbox(settings):
    settings.SANDBOX = True
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:8000"
    settings.TWILIO_ACCOUNT_SID = settings.SANDBOX_ACCOUNT_SID
    settings.TWILIO_AUTH_TOKEN = settings.SANDBOX_AUTH_TOKEN
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:8001"
    return settings


def test_a_deployment_with_everything_in_place_is_fine(settings):
    for name, value in REAL.items():
        setattr(settings, name, value)
    assert complaints() == set()


def test_the_sandbox_as_it_comes_is_fine(sandbox):
    assert complaints() == set()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bot.example.com", set()),
        ("https://example.com:8443/prefix", set()),
        ("http://localhost:8000", set()),
        ("http://127.0.0.1:8000", set()),
        ("http://[::1]:8000", set()),
        ("", {"E001"}),
        ("bot.example.com", {"E001"}),
        ("http://bot.example.com", {"E002"}),
        ("http://192.168.1.5:8000", {"E002"}),
        ("ftp://localhost", {"E002"}),
        ("https://my_bot.example.com", {"E003"}),
        ("https://bot.example.com/?a=b", {"E004"}),
        ("https://bot.example.com/#rc=5", {"E004"}),
    ],
)
def test_the_public_url(settings, url, expected):
    settings.PUBLIC_BASE_URL = url
    assert complaints() == expected


def test_the_sandbox_refuses_a_real_account(sandbox):
    sandbox.TWILIO_ACCOUNT_SID = REAL["TWILIO_ACCOUNT_SID"]
    sandbox.TWILIO_API_BASE_URL = ""
    assert complaints() == {"E005"}
    sandbox.TWILIO_API_BASE_URL = "https://api.example.com"
    assert complaints() == {"E005"}
    sandbox.TWILIO_API_BASE_URL = "http://127.0.0.1:9000"
    assert complaints() == set()


@pytest.mark.parametrize("url", ["https://bot.example.com", "http://10.0.0.1:8000"])
def test_the_sandbox_refuses_to_be_reached_by_others(sandbox, url):
    sandbox.PUBLIC_BASE_URL = url
    assert complaints() == {"E006"}


@pytest.mark.parametrize(
    ("sid", "token", "expected"),
    [
        ("", "", set()),
        ("AC" + "a" * 32, "t", set()),
        ("SK" + "a" * 32, "t", {"E007"}),
        ("AC" + "a" * 31, "t", {"E007"}),
        ("AC" + "a" * 32 + "\n", "t", {"E007"}),
        ("AC" + "a" * 32, "", {"E008"}),
        ("", "t", {"E008"}),
    ],
)
def test_the_credentials(settings, sid, token, expected):
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = sid, token
    assert complaints() == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", set()),
        ("https://api.example.com", set()),
        ("http://localhost:8001", set()),
        ("http://[::1]:8001", set()),
        ("http://twilio.example.com", {"E009"}),
        ("http://127.0.0.1.example.com", {"E009"}),
        ("api.example.com", {"E009"}),
    ],
)
def test_the_token_leaves_only_encrypted_or_to_this_machine(settings, url, expected):
    settings.TWILIO_API_BASE_URL = url
    assert complaints() == expected
