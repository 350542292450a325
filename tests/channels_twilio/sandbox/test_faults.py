"""Fault scripts: what goes wrong on purpose goes wrong exactly so, and the same way each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from channels_twilio.sandbox.faults import BadScript, Faults, parse_script
from tests.stand_ins.receiver import Receiver
from tests.stand_ins.twin import ACCOUNT_SID, SMS, WHATSAPP, TwinProcess, eventually

STATUS = "/webhooks/twilio/status/"


def send(twin: TwinProcess, to: str, callback: str | None = None) -> Any:
    ours = WHATSAPP if to.startswith("whatsapp:") else SMS
    return twin.client().messages.create(
        to=to, from_=ours, body="hi", **{"status_callback": callback} if callback else {}
    )


def statuses(receiver: Receiver, count: int) -> list[str]:
    eventually(lambda: len(receiver.at(STATUS)) >= count)
    return [request.params["MessageStatus"] for request in receiver.at(STATUS)]


def test_429_says_when_to_come_again_and_executes_nothing(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"match": {"nth": 1}, "fault": "429", "args": {"retry_after": 3}}])
    response = twin.http.post(
        f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", data={"To": number, "From": SMS, "Body": "hi"}
    )

    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (429, 20429, "3")
    assert twin.sent(number) == []
    send(twin, number)
    assert len(twin.sent(number)) == 1


@pytest.mark.parametrize(("fault", "executed"), [("500_not_executed", 0), ("500_executed", 1)])
def test_a_500_may_have_been_executed(
    twin: TwinProcess, receiver: Receiver, number: str, fault: str, executed: int
) -> None:
    twin.play([{"match": {"to": number}, "fault": fault, "args": {"status": 503}}])

    with pytest.raises(TwilioRestException) as failure:
        send(twin, number)
    assert failure.value.status == 503
    assert len(twin.sent(number)) == executed


@pytest.mark.parametrize(("fault", "executed"), [("drop_before_accept", 0), ("drop_after_accept", 1)])
def test_a_dropped_connection_may_have_been_executed(
    twin: TwinProcess, receiver: Receiver, number: str, fault: str, executed: int
) -> None:
    twin.play([{"fault": fault}])

    with pytest.raises(requests.ConnectionError):
        send(twin, number)
    assert len(twin.sent(number)) == executed
    assert twin.journal()["exchanges"][-1]["error"] == "dropped"


def test_a_delayed_answer_was_executed_at_once(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"fault": "delay", "args": {"seconds": 0.6}}])
    twin.http.timeout = httpx.Timeout(0.3)

    with pytest.raises(httpx.ReadTimeout):
        twin.http.post(
            f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", data={"To": number, "From": SMS, "Body": "hi"}
        )
    assert len(twin.sent(number)) == 1


def test_any_error_of_any_operation_can_be_asked_for(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"match": {"operation": "list"}, "fault": "error", "args": {"code": 20404, "status": 404}}])

    assert twin.http.get(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json").json()["code"] == 20404
    send(twin, number)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"fault": "callback_reordered"}, ["read", "delivered", "sent"]),
        ({"fault": "callback_duplicated", "args": {"times": 2}}, ["sent"] * 2 + ["delivered"] * 2 + ["read"] * 2),
        ({"fault": "failed", "args": {"code": 63016}}, ["failed"]),
        ({"fault": "undelivered"}, ["sent", "undelivered"]),
    ],
)
def test_callbacks_go_wrong(
    twin: TwinProcess, receiver: Receiver, number: str, rule: dict[str, Any], expected: list[str]
) -> None:
    twin.play([rule])
    send(twin, f"whatsapp:{number}", receiver.url + STATUS)

    assert statuses(receiver, len(expected)) == expected
    codes = {request.params.get("ErrorCode") for request in receiver.at(STATUS)} - {None}
    assert codes == {"failed": {"63016"}, "undelivered": {"30003"}}.get(rule["fault"], set())


def test_late_callbacks_come_when_the_status_is_long_known(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"fault": "callback_late", "args": {"seconds": 0.4}}])
    message = send(twin, number, receiver.url + STATUS)

    eventually(lambda: twin.client().messages(message.sid).fetch().status == "delivered")
    assert receiver.requests == []
    assert statuses(receiver, 2) == ["sent", "delivered"]


def test_lost_callbacks_and_webhooks_leave_only_the_list(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"fault": "callback_lost"}, {"match": {"from": number}, "fault": "inbound_lost"}])
    sid = twin.write(number, "did you get this?")
    message = send(twin, number, receiver.url + STATUS)

    eventually(lambda: twin.client().messages(message.sid).fetch().status == "delivered")
    assert receiver.requests == []
    assert [found.sid for found in twin.client().messages.list(from_=number)] == [sid]


def test_a_reset_connection_was_executed(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"fault": "reset_after_accept"}])

    with pytest.raises(httpx.ReadError, match="reset"):
        twin.http.post(
            f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", data={"To": number, "From": SMS, "Body": "hi"}
        )
    assert len(twin.sent(number)) == 1


def test_early_callbacks_come_before_the_answer_to_the_send(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    twin.play([{"fault": "callback_early"}])
    message = send(twin, number, receiver.url + STATUS)

    assert [request.params["MessageSid"] for request in receiver.at(STATUS)] == [message.sid] * 2
    assert [request.params["MessageStatus"] for request in receiver.at(STATUS)] == ["sent", "delivered"]


def test_the_list_lags_behind(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    send(twin, number)
    twin.play([{"match": {"nth": 1}, "fault": "list_lags", "args": {"seconds": 60}}])

    assert twin.client().messages.list(to=number) == []
    assert len(twin.client().messages.list(to=number)) == 1


def test_a_message_that_waits_longer_than_it_may_is_never_sent(
    twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    twin.play([{"fault": "queued_long", "args": {"seconds": 1.2}}])
    client, url = twin.client(), receiver.url + STATUS
    patient = client.messages.create(to=number, from_=SMS, body="hi", status_callback=url)
    client.messages.create(to=number, from_=SMS, body="now or never", status_callback=url, validity_period=1)

    expired = eventually(lambda: receiver.at(STATUS) and receiver.at(STATUS)[0].params)
    assert (expired["MessageStatus"], expired["ErrorCode"]) == ("failed", "30036")
    eventually(lambda: client.messages(patient.sid).fetch().status == "delivered")


def test_free_words_outside_the_24_hours_are_accepted_and_fail(
    twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    contact = f"whatsapp:{number}"
    message = send(twin, contact, receiver.url + STATUS)
    [failed] = eventually(lambda: receiver.at(STATUS))
    assert (failed.params["MessageSid"], failed.params["ErrorCode"]) == (message.sid, "63016")

    twin.write(contact, "hello")
    send(twin, contact, receiver.url + STATUS)
    assert statuses(receiver, 4) == ["failed", "sent", "delivered", "read"]


def test_a_file_may_be_there_only_at_the_third_look(twin: TwinProcess, receiver: Receiver, number: str) -> None:
    late = {"operation": "media", "nth": [1, 2]}
    twin.play([{"match": late, "fault": "error", "args": {"code": 20404, "status": 404}}])
    twin.write(number, "look", media=[{"content_type": "image/png", "content": "iVBORw=="}])
    path = eventually(lambda: receiver.requests)[0].params["MediaUrl0"].removeprefix(twin.base_url)

    assert [twin.http.get(path).status_code for _ in range(3)] == [404, 404, 302]


def test_an_inbound_webhook_comes_twice_each_time_as_a_request_of_its_own(
    twin: TwinProcess, receiver: Receiver, number: str
) -> None:
    twin.play([{"fault": "inbound_duplicated", "args": {"times": 3}}])
    sid = twin.write(number, "hi")
    eventually(lambda: len(receiver.requests) == 3)

    assert {request.params["MessageSid"] for request in receiver.requests} == {sid}
    assert len({request.headers["i-twilio-idempotency-token"] for request in receiver.requests}) == 3


def test_the_same_seed_gives_the_same_transcript(shared_receiver: Receiver, tmp_path: Path) -> None:
    script = [
        {"match": {"probability": 0.3}, "fault": "429"},
        {"match": {"probability": 0.3}, "fault": "500_executed"},
        {"match": {"probability": 0.5}, "fault": "undelivered"},
        {"match": {"probability": 0.5}, "fault": "callback_duplicated"},
        {"match": {"probability": 0.4}, "fault": "inbound_duplicated"},
    ]

    def play(name: str, *, seed: int) -> TwinProcess:
        journal = tmp_path / f"{name}.sqlite3"
        twin = TwinProcess(public_base_url=shared_receiver.url, journal=journal, faults=script, seed=seed)
        for n in range(20):
            contact = f"+1555020000{n % 2}"
            twin.write(contact, f"{n}?")
            form = {"To": contact, "From": SMS, "Body": f"{n}", "StatusCallback": shared_receiver.url}
            twin.http.post(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", data=form)
        return twin

    def transcript(twin: TwinProcess) -> tuple[list[object], list[object]]:
        """All that the twin knows but times. Webhooks come on threads of their own: they are sorted."""
        known = twin.journal()
        told = [
            (dict(e["params"]).get("MessageSid"), dict(e["params"]).get("MessageStatus"), e["status"], e["fault"])
            for e in known["exchanges"]
        ]
        return [(m["sid"], m["body"], m["status"], m["error_code"]) for m in known["messages"]], sorted(told, key=str)

    def is_at_rest(twin: TwinProcess) -> bool:
        return {m["status"] for m in twin.journal()["messages"]} == {"received", "delivered", "undelivered"}

    with closing_all(play("first", seed=7), play("again", seed=7), play("other", seed=8)) as (first, again, other):
        eventually(lambda: all(map(is_at_rest, (first, again, other))))
        eventually(lambda: transcript(first) == transcript(again))
        assert transcript(other) != transcript(first)


@contextmanager
def closing_all(*twins: TwinProcess) -> Iterator[tuple[TwinProcess, ...]]:
    try:
        yield twins
    finally:
        for twin in twins:
            twin.stop()


def test_luck_hangs_on_the_seed_and_owes_nothing_to_the_traffic_of_others() -> None:
    script = parse_script('[{"match": {"probability": 0.5}, "fault": "429"}]')

    def draws(faults: Faults) -> list[bool]:
        return [faults.draw("send", "+15550108888") is not None for _ in range(20)]

    alone, disturbed, other = Faults(script, seed=1), Faults(script, seed=1), Faults(script, seed=2)
    disturbed.draw("send", "+15550107777")
    drawn = draws(alone)
    assert draws(disturbed) == drawn
    assert draws(other) != drawn


def test_the_nth_is_counted_among_what_the_rule_meets() -> None:
    faults = Faults(parse_script('[{"match": {"to": "+15550108888", "nth": [2, 3]}, "fault": "429"}]'), seed=0)

    drawn = [faults.draw("send", f"+1555010{end}") for end in (7777, 8888, 7777, 8888, 8888, 8888)]
    assert [fault.name if fault else None for fault in drawn] == [None, None, None, "429", "429", None]


@pytest.mark.parametrize(
    "script",
    [
        "{",
        "{}",
        "[1]",
        '[{"mach": {}, "fault": "429"}]',
        '[{"fault": "fire"}]',
        '[{"fault": "429", "args": 3}]',
        '[{"fault": "429", "match": {"too": ""}}]',
        '[{"fault": "429", "match": {"nth": "first"}}]',
        '[{"fault": "429", "match": {"probability": "high"}}]',
        '[{"fault": "429", "match": {"operation": "swim"}}]',
    ],
)
def test_a_script_that_cannot_be_understood_is_refused(twin: TwinProcess, script: str) -> None:
    with pytest.raises(BadScript):
        parse_script(script)
    assert twin.http.post("/sandbox/faults", content=script).status_code == 400
