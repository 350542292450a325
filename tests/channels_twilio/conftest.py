from __future__ import annotations

import pytest

from channels_twilio.models import TwilioAccount, TwilioSender
from channels_twilio.quarantine import WRITES
from channels_twilio.views import REFUSALS
from conversations.models import ChannelAccount, Medium, Workspace

from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, BASE_URL


@pytest.fixture(autouse=True)
def _public_base_url(settings):
    settings.PUBLIC_BASE_URL = BASE_URL


@pytest.fixture(autouse=True)
def _nothing_refused_yet():
    REFUSALS.reset()
    WRITES.reset()


@pytest.fixture
def workspace(db):
    return Workspace.objects.create(name="Clinic", slug="clinic")


@pytest.fixture
def account(workspace):
    return TwilioAccount.objects.create(workspace=workspace, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN)


def add_sender(account: TwilioAccount, medium: Medium, address: str, service: str = "") -> ChannelAccount:
    channel_account = ChannelAccount.objects.create(
        workspace=account.workspace, channel="twilio", medium=medium, address=address
    )
    TwilioSender.objects.create(account=account, channel_account=channel_account, messaging_service_sid=service)
    return channel_account


@pytest.fixture
def whatsapp(account):
    return add_sender(account, Medium.WHATSAPP, "+15550100001")


@pytest.fixture
def sms(account):
    return add_sender(account, Medium.SMS, "+15550100002")
