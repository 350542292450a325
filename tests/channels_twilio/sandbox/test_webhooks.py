"""What the twin posts: inbound messages and status callbacks, signed and retried as Twilio does."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from channels_twilio.sandbox.journal import Journal
from channels_twilio.sandbox.webhooks import Manner, Webhooks
from tests.stand_ins.receiver import Received, Receiver
from tests.stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, SMS, WHATSAPP, TwinProcess, eventually

INBOUND = "/webhooks/twilio/inbound/"
STATUS = "/webhooks/twilio/status/"


def is_signed(receiver: Receiver, request: Received) -> bool:
    signature = request.headers["x-twilio-signature"]
    return bool(RequestValidator(AUTH_TOKEN).validate(receiver.url + request.path, request.params, signature))


def inbound(receiver: Receiver, count: int = 1) -> list[Received]:
    eventually(lambda: len(receiver.at(INBOUND)) >= count)
    return receiver.at(INBOUND)


def test_a_whatsapp_message_is_posted_with_twilios_parameters(
    twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    sid = twin.write(f"whatsapp:{number}", "Olá, quero agendar", name="Ana Exemplo")
    [request] = inbound(receiver)

    assert is_signed(receiver, request)
    assert request.headers["i-twilio-idempotency-token"]
    wa_id, params = number[1:], request.params
    assert params.pop("ExternalUserId").startswith("whatsapp:US.")
    assert json.loads(params.pop("ChannelMetadata")) == {
        "type": "whatsapp",
        "data": {"context": {"ProfileName": "Ana Exemplo", "WaId": wa_id}},
    }
    assert params == {
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "MessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "NumMedia": "0",
        "ProfileName": "Ana Exemplo",
        "MessageType": "text",
        "WaId": wa_id,
        "SmsStatus": "received",
        "Body": "Olá, quero agendar",
        "To": WHATSAPP,
        "From": f"whatsapp:{number}",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "ApiVersion": "2010-04-01",
    }


def test_an_sms_carries_blank_parameters_and_no_profile_name(
    twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    twin.write(number, "Hi there")
    [request] = inbound(receiver)

    assert is_signed(receiver, request)
    assert (request.params["To"], request.params["ToCity"], request.params["FromCountry"]) == (SMS, "", "US")
    assert "ProfileName" not in request.params


def test_media_and_further_parameters_are_posted(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    voice = {"content_type": "audio/ogg", "content": base64.b64encode(b"a voice").decode()}
    voice_sid = twin.write(f"whatsapp:{number}", "", media=[voice])
    twin.write(f"whatsapp:{number}", "", params={"Latitude": "51.5", "Longitude": "-0.2"})

    by_type = {request.params["MessageType"]: request.params for request in inbound(receiver, 2)}
    assert by_type["audio"]["MediaContentType0"] == "audio/ogg"
    assert by_type["audio"]["MediaUrl0"].startswith(
        f"{twin.base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{voice_sid}/Media/ME"
    )
    assert by_type["location"]["Latitude"] == "51.5"


def test_the_contacts_ticks_show_whether_the_webhook_was_answered(
    twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    def ticks() -> list[str]:
        thread = twin.http.get(f"/sandbox/contacts/{number}/messages").json()
        return [message["status"] for message in thread["messages"]]

    receiver.statuses.append(503)
    twin.write(number, "into the void")
    inbound(receiver)
    assert ticks() == ["sent"]
    twin.write(number, "again")
    eventually(lambda: ticks() == ["sent", "delivered"])


def test_callbacks_walk_a_whatsapp_message_to_read(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    contact = f"whatsapp:{number}"
    twin.write(contact, "hello")
    message = twin.client().messages.create(
        to=contact, from_=WHATSAPP, body="hi", status_callback=f"{receiver.url}{STATUS}?m=42"
    )
    news = eventually(lambda: len(told := receiver.at(STATUS)) == 3 and told)

    assert [request.params["MessageStatus"] for request in news] == ["sent", "delivered", "read"]
    assert {request.path for request in news} == {f"{STATUS}?m=42"}
    assert all(is_signed(receiver, request) for request in news)
    common = {
        "SmsSid": message.sid,
        "MessageSid": message.sid,
        "ChannelToAddress": number[:-4] + "XXXX",
        "To": contact,
        "From": WHATSAPP,
        "ChannelPrefix": "whatsapp",
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
    }
    sent, _, read = (request.params for request in news)
    assert sent.pop("ChannelInstallSid") == read.pop("ChannelInstallSid")
    assert sent == common | {"SmsStatus": "sent", "MessageStatus": "sent", "StructuredMessage": "false"}
    assert read == common | {"SmsStatus": "read", "MessageStatus": "read", "EventType": "READ"}


def test_callbacks_of_an_sms_end_with_delivered(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.client().messages.create(to=number, from_=SMS, body="hi", status_callback=receiver.url + STATUS)
    eventually(lambda: len(receiver.requests) == 2)

    sent, delivered = (request.params for request in receiver.requests)
    assert sent.keys() == {
        "SmsSid",
        "SmsStatus",
        "MessageStatus",
        "To",
        "MessageSid",
        "AccountSid",
        "From",
        "ApiVersion",
    }
    assert delivered.keys() - sent.keys() == {"RawDlrDoneDate"}
    assert (sent["MessageStatus"], delivered["MessageStatus"]) == ("sent", "delivered")


@pytest.mark.parametrize("prefix", ["", "whatsapp:"])
def test_stop_is_confirmed_by_twilio_and_refuses_sends_until_start(
    twin: TwinProcess, receiver: Receiver, number: str, prefix: str
) -> None:
    contact, ours, client = prefix + number, WHATSAPP if prefix else SMS, twin.client()
    twin.write(contact, " Stop ")

    with pytest.raises(TwilioRestException) as refusal:
        client.messages.create(to=contact, from_=ours, body="are you there?")
    assert refusal.value.code == 21610
    twin.write(contact, "STOP")  # says nothing new, so it is not confirmed again
    twin.write(contact, "START")
    client.messages.create(to=contact, from_=ours, body="welcome back")

    bodies = [message.body for message in client.messages.list(to=contact)][::-1]
    assert ["unsubscribed" in bodies[0], "re-subscribed" in bodies[1], bodies[2]] == [True, True, "welcome back"]
    assert sorted(request.params["OptOutType"] for request in inbound(receiver, 3)) == ["START", "STOP", "STOP"]


def test_help_is_answered_by_twilio(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.write(number, "help")

    assert inbound(receiver)[0].params["OptOutType"] == "HELP"
    [answer] = twin.client().messages.list(to=number)
    assert (answer.direction, answer.body[:10]) == ("outbound-reply", "Reply STOP")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite3")


def test_an_error_is_not_retried(receiver: Receiver, journal: Journal) -> None:
    receiver.statuses += [500]

    assert not Webhooks(AUTH_TOKEN, journal).call("inbound", receiver.url + INBOUND, [("Body", "hi")])
    assert [(e["status"], e["error"]) for e in journal.exchanges()] == [(500, "11200")]


def test_an_error_is_retried_where_the_url_says_so(receiver: Receiver, journal: Journal) -> None:
    receiver.statuses += [500, 404]
    url = f"{receiver.url}{INBOUND}#rc=5&rp=all&ct=2000&rt=4000"

    assert Webhooks(AUTH_TOKEN, journal).call("inbound", url, [("Body", "hi")])
    assert [(e["status"], e["error"]) for e in journal.exchanges()] == [(500, "11200"), (404, "11200"), (200, "")]
    assert len({request.headers["i-twilio-idempotency-token"] for request in receiver.requests}) == 1
    assert all(is_signed(receiver, request) for request in receiver.requests)  # over the URL without its fragment


def test_a_late_answer_is_given_up(receiver: Receiver, journal: Journal) -> None:
    receiver.delay = 0.5

    assert not Webhooks(AUTH_TOKEN, journal).call("inbound", f"{receiver.url}{INBOUND}#rt=100", [("Body", "hi")])
    assert [(e["status"], e["error"]) for e in journal.exchanges()] == [(None, "11200")]


def test_a_refused_connection_is_retried_once_and_then_the_fallback_is_called(
    receiver: Receiver, journal: Journal
) -> None:
    dead = "http://127.0.0.1:1/inbound/"

    assert Webhooks(AUTH_TOKEN, journal).call("inbound", dead, [("Body", "hi")], fallback_url=receiver.url + INBOUND)
    [request] = receiver.requests
    assert request.params == {"Body": "hi", "ErrorCode": "11205", "ErrorUrl": dead}
    assert [(e["url"], e["status"]) for e in journal.exchanges()] == [
        (dead, None),
        (dead, None),
        (receiver.url + INBOUND, 200),
    ]


def test_overrides_are_read_from_the_fragment() -> None:
    assert Manner.of("") == Manner(1, frozenset({"ct"}), 5, 15, 15)
    assert Manner.of("rc=5&rp=all&ct=2000&rt=4000") == Manner(5, frozenset({"ct", "rt", "4xx", "5xx"}), 2, 4, 15)
    assert Manner.of("rp=5xx,rt").policies == {"5xx", "rt"}
