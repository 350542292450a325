"""The phone in the browser, without the browser: the page, and its way to the twin."""

from __future__ import annotations

import importlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import clear_url_caches
from twilio.base.exceptions import TwilioRestException

import project.urls
from channels_twilio.sandbox.panel import PANEL
from tests.stand_ins.receiver import Receiver
from tests.stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, SMS, WHATSAPP, TwinProcess, eventually


def reload_urls() -> None:
    importlib.reload(project.urls)
    clear_url_caches()


@pytest.fixture
def sandbox(settings: LazySettings, twin: TwinProcess) -> Iterator[None]:
    settings.SANDBOX, settings.TWILIO_API_BASE_URL = True, twin.base_url
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    reload_urls()
    yield
    settings.SANDBOX = False
    reload_urls()


def test_outside_the_sandbox_there_is_no_simulator(client: Client) -> None:
    assert client.get("/simulator/").status_code == 404
    assert client.get("/simulator/twin/account").status_code == 404


@pytest.mark.usefixtures("sandbox")
def test_the_page_comes_with_a_csrf_token_and_a_policy(client: Client) -> None:
    response = client.get("/simulator/")

    assert response.status_code == 200
    assert 'data-twin="/simulator/twin/x"' in response.content.decode()
    assert response.cookies["csrftoken"].value
    assert response["Content-Security-Policy"].startswith("default-src 'self'")


@pytest.mark.usefixtures("sandbox")
def test_a_message_goes_from_the_phone_to_the_webhook_and_its_ticks_come_back(
    client: Client, receiver: Receiver, number: str
) -> None:
    contact = {"number": number, "name": "Ana"}
    assert client.post("/simulator/twin/contacts", contact, content_type="application/json").json() == contact
    message = {"from": f"whatsapp:{number}", "body": "Olá"}
    assert client.post("/simulator/twin/messages", message, content_type="application/json").status_code == 201

    def ticks() -> list[str]:
        thread = client.get(f"/simulator/twin/contacts/whatsapp%3A%2B{number[1:]}/messages").json()
        return [bubble["status"] for bubble in thread["messages"]]

    eventually(lambda: ticks() == ["delivered"])
    assert [request.params["ProfileName"] for request in receiver.requests] == ["Ana"]
    assert client.get("/simulator/twin/account").json()["senders"] == [WHATSAPP, SMS]


@pytest.mark.usefixtures("sandbox")
def test_only_what_changed_is_asked_for(client: Client, twin: TwinProcess, number: str) -> None:
    thread = f"/simulator/twin/contacts/{number}/messages"
    twin.write(number, "one")
    version = eventually(lambda: (news := client.get(thread).json())["messages"][0]["status"] == "delivered" and news)[
        "version"
    ]

    assert client.get(thread, {"since": version}).json()["messages"] == []
    twin.write(number, "two")
    assert [bubble["body"] for bubble in client.get(thread, {"since": version}).json()["messages"]] == ["two"]


@pytest.mark.usefixtures("sandbox")
def test_a_picture_of_five_megabytes_is_taken_and_shown_but_runs_nothing(client: Client, number: str) -> None:
    picture = b"\x89PNG" + bytes(5_000_000)
    media = [{"content_type": "image/png", "content": b64encode(picture).decode()}]
    bubble = client.post(
        "/simulator/twin/messages", {"from": number, "body": "", "media": media}, content_type="application/json"
    ).json()

    shown = client.get(f"/simulator/twin/{bubble['media'][0]['url']}")
    assert (shown.content, shown["Content-Type"]) == (picture, "image/png")
    assert shown["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert shown["X-Content-Type-Options"] == "nosniff"


@pytest.mark.usefixtures("sandbox")
def test_another_page_cannot_write_as_a_contact(number: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    message = {"from": number, "body": "forged"}

    assert strict.post("/simulator/twin/messages", message, content_type="application/json").status_code == 403
    token = strict.get("/simulator/").cookies["csrftoken"].value
    headers = {"X-CSRFToken": token}
    allowed = strict.post("/simulator/twin/messages", message, content_type="application/json", headers=headers)
    assert allowed.status_code == 201


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("path", ["journal", "faults/x", "../2010-04-01/Accounts", "contacts/../journal"])
def test_the_phone_reaches_nothing_else_of_the_twin(client: Client, path: str) -> None:
    assert client.get(f"/simulator/twin/{path}").status_code == 404


@pytest.mark.usefixtures("sandbox", "receiver")
def test_a_developer_switches_faults_on_and_off(client: Client, twin: TwinProcess, number: str) -> None:
    rule = {"match": {"probability": 1.0, "operation": "send"}, "fault": "429", "args": {"retry_after": 2}}
    played = client.post("/simulator/twin/faults?seed=7", [rule], content_type="application/json").json()
    assert played == {"seed": 7, "rules": [rule]} == client.get("/simulator/twin/faults").json()
    with pytest.raises(TwilioRestException):
        twin.client().messages.create(to=number, from_=SMS, body="hi")

    assert client.post("/simulator/twin/faults", [], content_type="application/json").json()["rules"] == []
    twin.client().messages.create(to=number, from_=SMS, body="hi")


@pytest.mark.usefixtures("sandbox", "receiver")
def test_every_fault_of_the_panel_is_one_that_the_twin_can_play(client: Client) -> None:
    offered = [rule for _, faults in PANEL for _, rule in faults]
    answer = client.post("/simulator/twin/faults", offered, content_type="application/json")
    assert len(answer.json()["rules"]) == len(offered) > 20


@pytest.mark.usefixtures("sandbox")
def test_a_developer_sees_the_last_requests_both_ways_without_the_token(
    client: Client, twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    twin.client().messages.create(to=number, from_=SMS, body="hi", status_callback=f"{receiver.url}/status/")
    eventually(lambda: len(receiver.at("/status/")) == 2)

    def shown() -> list[dict[str, Any]]:
        answer = client.get("/simulator/twin/exchanges")
        assert AUTH_TOKEN not in answer.content.decode()
        mine = [e for e in answer.json()["exchanges"] if dict(e["params"]).get("To") == number]
        return mine if len(mine) == 3 else []

    ours, *theirs = eventually(shown)
    assert (ours["kind"], ours["status"], ours["headers"]["Authorization"]) == ("api", 201, "Basic ********")
    assert all(e["headers"]["X-Twilio-Signature"] and e["status"] == 200 for e in theirs)


@pytest.mark.usefixtures("sandbox")
def test_a_twin_that_is_down_is_said_so(client: Client, settings: LazySettings) -> None:
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:1"
    response = client.get("/simulator/twin/contacts")

    assert response.status_code == 502
    assert response.json()["message"] == "The twin does not answer. Start it with: manage.py twilio_twin"
