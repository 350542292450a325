"""Which credentials the REST API is called with, and where; and that neither is ever seen."""

from __future__ import annotations

from base64 import b64encode

import pytest

from channels_twilio.client import Credentials, Unreadable, client
from channels_twilio.models import TwilioAccount
from channels_twilio.transport import Transport

from .api_stand_in import api_stand_in, json_answer
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN

KEY_SID, KEY_SECRET = "SK" + "1" * 32, "the secret of an API key"


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def with_key(account: TwilioAccount) -> TwilioAccount:
    account.api_key_sid, account.api_key_secret = KEY_SID, KEY_SECRET
    account.save()
    return TwilioAccount.objects.get()


@pytest.mark.parametrize("keyed", [False, True])
def test_an_api_key_takes_the_place_of_the_token_on_every_host(settings, account, keyed):
    if keyed:
        account = with_key(account)
    with api_stand_in() as stand_in:
        settings.TWILIO_API_BASE_URL = stand_in.url
        stand_in.answers(json_answer(200, {"sid": "x", "success": True}))
        api = client(Credentials.of(account), Transport(timeout=5))
        api.api.v2010.accounts(ACCOUNT_SID).fetch()
        api.messaging.v2.typing_indicator.create(channel="whatsapp", message_id="SM1")
        api.content.v1.contents("HX1").fetch()
    assert [request.path.split("/")[1] for request in stand_in.requests] == ["2010-04-01", "v2", "v1"]
    expected = basic(KEY_SID, KEY_SECRET) if keyed else basic(ACCOUNT_SID, AUTH_TOKEN)
    assert {request.authorization for request in stand_in.requests} == {expected}


def test_a_repr_shows_no_secret(account):
    for credentials in (Credentials.of(account), Credentials.of(with_key(account))):
        assert ACCOUNT_SID in repr(credentials)
        assert AUTH_TOKEN not in repr(credentials)
        assert KEY_SECRET not in repr(credentials)


def test_credentials_that_no_key_opens_are_not_used_empty(account, settings):
    settings.SECRET_KEY = "another key, longer than fifty characters, and of no use for what is stored"
    with pytest.raises(Unreadable):
        Credentials.of(TwilioAccount.objects.get())
