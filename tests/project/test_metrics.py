"""`/metrics` answers those who may read it, in the formats that Prometheus asks for."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from conversations import pausing
from conversations.models import ChannelAccount, Medium, Workspace

pytestmark = pytest.mark.django_db

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def status(client: Client, **headers: str) -> int:
    address = headers.pop("address", "127.0.0.1")
    code: int = client.get("/metrics", headers={"host": "localhost", **headers}, REMOTE_ADDR=address).status_code
    return code


@pytest.fixture
def private(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
def token(settings: Any) -> str:
    settings.METRICS_TOKEN = "t0ken"
    return "t0ken"


def test_with_a_token_only_who_knows_it_may_read(client: Client, token: str) -> None:
    assert status(client, Authorization=f"Bearer {token}", address="203.0.113.9") == 200
    for wrong in ("", "Bearer", "Bearer ", "Bearer t0ke", "Bearer t0kenn", "Bearer tökén", f"Basic {token}", token):
        assert status(client, Authorization=wrong) == 401
    refusal = client.get("/metrics", headers={"host": "localhost"})
    assert (refusal["WWW-Authenticate"], refusal.content) == ("Bearer", b"")


def test_without_a_token_this_machine_alone_may_read(client: Client, private: None) -> None:
    assert status(client) == status(client, address="::1") == 200
    for address in ("203.0.113.9", "10.0.0.1", "", "unix"):
        assert status(client, address=address) == 403


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_is_not_this_machine(client: Client, private: None, header: str) -> None:
    assert status(client, **{header: "127.0.0.1"}) == 403


def test_without_a_token_nobody_may_read_at_a_public_address(client: Client) -> None:
    """A proxy need not say that it is one."""
    assert status(client) == 403


def test_the_format_is_the_one_that_is_asked_for(client: Client, private: None) -> None:
    plain = client.get("/metrics", headers={"host": "localhost"})
    assert plain["Content-Type"].startswith("text/plain; version=")
    assert b'queueing_jobs{queue="default",status="ready"} 0.0' in plain.content
    modern = client.get("/metrics", headers={"host": "localhost", "Accept": OPENMETRICS})
    assert modern["Content-Type"].startswith("application/openmetrics-text")
    assert modern.content.endswith(b"# EOF\n")


def test_a_paused_channel_account_is_told_by_its_id(client: Client, private: None) -> None:
    workspace = Workspace.objects.create(name="Clinic", slug="clinic")
    accounts = [
        ChannelAccount.objects.create(
            workspace=workspace, channel="twilio", medium=Medium.SMS, address=f"+1555010000{n}"
        )
        for n in (1, 2)
    ]
    pausing.pause(accounts[1].pk, reason="63007", now=timezone.now())
    told = client.get("/metrics", headers={"host": "localhost"}).content.decode()
    for account, paused in zip(accounts, ("0.0", "1.0"), strict=True):
        assert f'conversations_channel_paused{{account="{account.pk}",channel="twilio"}} {paused}' in told
    assert "queueing_jobs{" in told
    assert "+1555" not in told


def test_a_database_that_is_away_is_no_empty_queue(client: Client, private: None) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError

    with connection.execute_wrapper(refuse):
        assert status(client) == 503
