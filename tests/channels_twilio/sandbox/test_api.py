"""The twin's API, asked by Twilio's own SDK."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from channels_twilio.sandbox.content import TEMPLATES
from tests.stand_ins.receiver import Receiver
from tests.stand_ins.twin import ACCOUNT_SID, SMS, WHATSAPP, TwinProcess, eventually, running_twin

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


def test_a_send_is_accepted_with_every_field_that_twilio_has(twin: TwinProcess, number: str) -> None:
    response = twin.http.post(MESSAGES, data={"To": number, "From": SMS, "Body": "Olá, tudo bem?"})

    assert response.status_code == 201
    message = response.json()
    assert re.fullmatch(r"SM[0-9a-f]{32}", message["sid"])
    assert datetime.now(UTC) - parsedate_to_datetime(message.pop("date_created")) < timedelta(seconds=5)
    assert message.pop("date_updated").endswith("+0000")
    uri = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{message.pop('sid')}"
    assert message == {
        "account_sid": ACCOUNT_SID,
        "api_version": "2010-04-01",
        "body": "Olá, tudo bem?",
        "date_sent": None,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": SMS,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": None,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": number,
        "uri": f"{uri}.json",
    }


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("a" * 160, "1"),
        ("a" * 161, "2"),
        ("€" * 80, "1"),
        ("€" * 81, "2"),
        ("ã" * 70, "1"),
        ("ã" * 71, "2"),
        ("👍" * 36, "2"),
    ],
)
def test_segments_are_counted_as_on_the_wire(twin: TwinProcess, number: str, body: str, segments: str) -> None:
    assert twin.client().messages.create(to=number, from_=SMS, body=body).num_segments == segments


def test_the_status_walks_to_read_on_whatsapp_and_to_delivered_on_sms(twin: TwinProcess, number: str) -> None:
    client = twin.client()
    twin.write(f"whatsapp:{number}", "hello")
    on_whatsapp = client.messages.create(to=f"whatsapp:{number}", from_=WHATSAPP, body="hi")
    on_sms = client.messages.create(to=number, from_=SMS, body="hi")

    eventually(lambda: client.messages(on_whatsapp.sid).fetch().status == "read")
    assert client.messages(on_sms.sid).fetch().status == "delivered"
    assert client.messages(on_sms.sid).fetch().date_sent is not None


def test_a_template_is_filled_in_and_needs_no_open_window(twin: TwinProcess, number: str) -> None:
    client, contact = twin.client(), f"whatsapp:{number}"
    [english, _] = client.content.v1.contents.list()
    message = client.messages.create(
        to=contact, from_=WHATSAPP, content_sid=english.sid, content_variables='{"1": "Ana"}'
    )

    assert message.body == "Hello Ana! You asked us something a while ago. Shall we go on?"
    assert client.content.v1.contents(english.sid).fetch().variables == {"1": "there"}
    eventually(lambda: client.messages(message.sid).fetch().status == "read")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"content_sid": "HX" + "f" * 32}, 21655),
        ({"content_sid": TEMPLATES[0].sid, "content_variables": "[]"}, 21656),
        ({"content_sid": TEMPLATES[0].sid, "content_variables": '{"1": ""}'}, 21656),
        ({"body": "hi", "validity_period": 36001}, 20001),
    ],
)
def test_a_template_or_a_time_that_is_none_is_refused(
    twin: TwinProcess, number: str, content: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refusal:
        twin.client().messages.create(to=number, from_=SMS, **content)
    assert refusal.value.code == code


def test_a_messaging_service_chooses_the_sender_afterwards(twin: TwinProcess, number: str) -> None:
    client, service = twin.client(), "MG" + "0" * 32
    message = client.messages.create(to=number, messaging_service_sid=service, body="hi")

    assert (message.status, message.from_, message.messaging_service_sid) == ("accepted", None, service)
    eventually(lambda: client.messages(message.sid).fetch().from_ == SMS)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": ""}, 21604),
        ({"to": "12345"}, 21211),
        ({"to": "whatsapp:12345"}, 21211),
        ({"from_": ""}, 21603),
        ({"from_": "+15559999999"}, 21606),
        ({"from_": "whatsapp:+15559999999", "to": "whatsapp:+15550108888"}, 63007),
        ({"from_": WHATSAPP}, 21910),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"media_url": ["no url"]}, 21620),
        ({"media_url": ["https://example.com/a.png"] * 11}, 21623),
        ({"status_callback": "ftp://example.com"}, 21609),
        ({"status_callback": "https://under_score.example.com"}, 21609),
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code(
    twin: TwinProcess, number: str, change: dict[str, object], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refusal:
        twin.client().messages.create(**{"to": number, "from_": SMS, "body": "hi"} | change)

    assert (refusal.value.status, refusal.value.code) == (400, code)
    assert twin.sent(number) == []


def test_errors_have_twilios_shape(twin: TwinProcess) -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/SM{'0' * 32}.json"

    assert twin.http.get(path).json() == {
        "code": 20404,
        "message": f"The requested resource {path} was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


def test_wrong_credentials_are_refused(twin: TwinProcess, number: str) -> None:
    client = Client(ACCOUNT_SID, "not the token")
    client.api.base_url = twin.base_url

    with pytest.raises(TwilioRestException) as refusal:
        client.messages.create(to=number, from_=SMS, body="hi")

    assert (refusal.value.status, refusal.value.code) == (401, 20003)
    assert httpx.get(f"{twin.base_url}/sandbox/journal").status_code == 401


def test_an_api_key_opens_what_the_token_opens(tmp_path: Path, number: str) -> None:
    key, secret = "SK" + "1" * 32, "a secret"
    with running_twin(
        public_base_url="http://127.0.0.1:1", journal=tmp_path / "twin", options=("--api-key", f"{key}:{secret}")
    ) as twin:
        client = Client(key, secret, ACCOUNT_SID)
        client.api.base_url = twin.base_url
        assert client.messages.create(to=number, from_=SMS, body="hi").sid
        assert client.api.v2010.accounts(ACCOUNT_SID).fetch().status == "active"
        assert httpx.get(f"{twin.base_url}/sandbox/journal", auth=(key, "another")).status_code == 401


def test_the_webhooks_of_numbers_and_senders_are_set_and_called(
    receiver: Receiver, twin: TwinProcess, number: str
) -> None:
    client = twin.client()
    [phone] = client.incoming_phone_numbers.list()
    [sender] = client.messaging.v2.channels_senders.list(channel="whatsapp")
    assert (phone.phone_number, sender.sender_id) == (SMS, WHATSAPP)

    url = f"{receiver.url}/elsewhere/"
    phone.update(sms_url=url)
    assert [phone.sms_url for phone in client.incoming_phone_numbers.list()] == [url]
    twin.write(number, "hello", to=SMS)
    eventually(lambda: receiver.at("/elsewhere/"))
    phone.update(sms_url=f"{receiver.url}/webhooks/twilio/inbound/")


def test_another_accounts_path_is_not_found(twin: TwinProcess) -> None:
    assert twin.http.get(f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json").status_code == 404


def test_the_sdk_pages_through_the_list_newest_first(twin: TwinProcess, number: str) -> None:
    client = twin.client()
    sids = [client.messages.create(to=number, from_=SMS, body=f"{n}").sid for n in range(7)]
    client.messages.create(to="+15550190000", from_=SMS, body="to somebody else")

    assert [message.sid for message in client.messages.list(to=number, page_size=3)] == sids[::-1]
    assert [message.sid for message in client.messages.list(to=number, limit=4)] == sids[:2:-1]
    assert client.messages.list(to=number, from_="+15559999999") == []


def test_a_message_that_comes_between_two_pages_moves_nothing(twin: TwinProcess, number: str) -> None:
    client = twin.client()
    sids = [client.messages.create(to=number, from_=SMS, body=f"{n}").sid for n in range(4)]

    stream = client.messages.stream(to=number, page_size=2)
    first = [next(stream).sid, next(stream).sid]
    client.messages.create(to=number, from_=SMS, body="late")

    assert first + [message.sid for message in stream] == sids[::-1]


def test_the_list_is_filtered_by_when_a_message_was_sent(twin: TwinProcess, number: str) -> None:
    client, now = twin.client(), datetime.now(UTC)
    twin.write(number, "hello")

    assert len(client.messages.list(from_=number, date_sent_after=now - timedelta(minutes=1))) == 1
    assert client.messages.list(from_=number, date_sent_after=now + timedelta(minutes=1)) == []
    assert client.messages.list(from_=number, date_sent_before=now - timedelta(minutes=1)) == []
    assert len(client.messages.list(from_=number, date_sent=now)) == 1


def test_media_is_fetched_by_a_redirect_that_takes_no_credentials(twin: TwinProcess, number: str) -> None:
    picture = {"content_type": "image/png", "content": base64.b64encode(b"a picture").decode()}
    sid = twin.write(f"whatsapp:{number}", "look", media=[picture])
    [media] = twin.client().messages(sid).media.list()
    path = media.uri.removesuffix(".json")

    assert sid.startswith("MM")
    assert media.content_type == "image/png"
    assert httpx.get(twin.base_url + path).status_code == 401
    redirect = twin.http.get(path)
    assert redirect.status_code == 302
    location = redirect.headers["Location"]
    assert twin.http.get(location).status_code == 400  # credentials that followed
    assert httpx.get(location[:-1] + "x").status_code == 404
    content = httpx.get(location)
    assert (content.content, content.headers["Content-Type"]) == (b"a picture", "image/png")


def test_the_typing_indicator_shows_until_the_answer_and_marks_the_message_read(twin: TwinProcess, number: str) -> None:
    contact, client = f"whatsapp:{number}", twin.client()
    sid = twin.write(contact, "hello?")

    def phone() -> dict[str, object]:
        thread: dict[str, object] = twin.http.get(f"/sandbox/contacts/{contact}/messages").json()
        return thread

    assert client.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=sid).success
    assert phone()["typing"] is True
    assert phone()["messages"][0]["status"] == "read"  # type: ignore[index]
    client.messages.create(to=contact, from_=WHATSAPP, body="hello!")
    assert phone()["typing"] is False


def test_a_typing_indicator_without_a_message_to_answer_is_refused(twin: TwinProcess, number: str) -> None:
    on_sms = twin.write(number, "hello?")

    for sid, status in (("SM" + "0" * 32, 404), (on_sms, 400)):
        with pytest.raises(TwilioRestException) as refusal:
            twin.client().messaging.v2.typing_indicator.create(channel="whatsapp", message_id=sid)
        assert refusal.value.status == status


def test_fifty_at_once_are_all_accepted_with_sids_of_their_own(twin: TwinProcess, number: str) -> None:
    def send(n: int) -> str:
        response = twin.http.post(MESSAGES, data={"To": number, "From": SMS, "Body": f"{n}"})
        sid: str = response.raise_for_status().json()["sid"]
        return sid

    with ThreadPoolExecutor(50) as pool:
        sids = set(pool.map(send, range(50)))

    assert len(sids) == 50
    assert {message["sid"] for message in twin.sent(number)} == sids


def test_a_request_that_makes_no_sense_is_answered_all_the_same(twin: TwinProcess, number: str) -> None:
    assert twin.http.get(MESSAGES, params={"PageSize": "many"}).status_code == 400
    assert twin.http.get(MESSAGES, params={"DateSent>": "yesterday"}).status_code == 400
    for body in (
        {},
        {"from": number},
        {"from": number, "body": "hi", "media": [{}]},
        {"from": number, "params": "none"},
    ):
        assert twin.http.post("/sandbox/messages", json=body).status_code == 400
    assert twin.http.post("/sandbox/contacts", content="{").status_code == 400
