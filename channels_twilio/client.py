"""How Twilio's REST API is reached for one account: with which credentials, and on which host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from twilio.rest import Client

from conversations.secrets import Sealed

from .models import TwilioAccount
from .transport import Transport


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the calls for one account need, read beforehand. Its repr may be logged: it shows no secret."""

    account_sid: str
    username: str  # the SID of the API key where there is one, else that of the account
    password: str = field(repr=False)

    @classmethod
    def of(cls, account: TwilioAccount) -> Credentials:
        """Raises Unreadable when SECRET_KEY does not open what is stored.

        An API key is preferred, since it can be revoked alone: https://www.twilio.com/docs/iam/api-keys
        """
        if account.api_key_sid:
            username, password = account.api_key_sid, account.api_key_secret
        else:
            username, password = account.account_sid, account.auth_token
        if isinstance(password, Sealed):
            raise Unreadable("SECRET_KEY does not open the Twilio account's credentials")
        return cls(account.account_sid, username, password)


class Unreadable(Exception):
    """The stored credentials were encrypted under a key that is no longer known."""


def client(credentials: Credentials, transport: Transport) -> Any:
    """The SDK's client, all of whose hosts are `settings.TWILIO_API_BASE_URL` where that is set.

    The SDK keeps one base URL per product, so each one that we call is redirected by name.
    """
    api = Client(  # type: ignore[no-untyped-call]
        credentials.username, credentials.password, credentials.account_sid, http_client=transport
    )
    if settings.TWILIO_API_BASE_URL:
        for product in (api.api, api.messaging, api.content):
            product.base_url = settings.TWILIO_API_BASE_URL
    return api
