"""Every error of Twilio's table has its effect, as the answer to a send and as the news of a status callback."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from channels_twilio import transport
from channels_twilio.error_codes import REMEDIES, Remedy, consequence_of
from channels_twilio.models import StatusEvent
from conversations import outbox
from conversations.models import Author, ChannelAccount, DeliveryStatus, Event, Message, State
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus

from .api_stand_in import api_stand_in, error, json_answer
from .outbound import outbound
from .signed_requests import ACCOUNT_SID, STATUS, post

# As the specification has it, written out once more: the product's table is not its own judge.
TABLE = {
    Remedy.RETRY: "429 20429",
    Remedy.RETRY_LATER: "21611",
    Remedy.RECONCILE: "20500 20503",
    Remedy.CONFIGURE: "20003 21408 21606 21608 21703 21656 63007 63020 63041 63051 30002 30034",
    Remedy.GIVE_UP_RECIPIENT: "21211 21612 21614 63003 63024 63032 63033 30005 30006",
    Remedy.OPTED_OUT: "21610",
    Remedy.GIVE_UP_CONTENT: "21617 21619 21620 63005 63013 63019 63021 30004 30007",
    Remedy.WINDOW_CLOSED: "63016",
    Remedy.RESEND_LATER: "30001 30003 30008 30036 63010 63012 63017 63018 63038",
}
CODES = [(int(code), remedy) for remedy, codes in TABLE.items() for code in codes.split()]
SID = "SM00000000000000000000000000000007"


def test_the_table_is_the_specification_s():
    assert dict(CODES) == REMEDIES


@pytest.fixture
def api(settings, transactional_db):
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        yield api
        transport.connections.close()
        transport.open_connections()


def written_to(account: ChannelAccount) -> Message:
    """A message of ours, stored with its job, to a contact who has just written."""
    conversation = outbound(account, status=DeliveryStatus.DRAFT).conversation
    conversation.last_inbound_at = timezone.now()
    conversation.state, conversation.next_seq = State.IN_PROGRESS, 2
    conversation.save()
    [message] = outbox.send(conversation, "Hello", author=Author.ASSISTANT, now=timezone.now())
    return message


@pytest.mark.parametrize(("code", "remedy"), CODES)
def test_a_code_that_answers_a_send(api, whatsapp, code, remedy):
    status = 429 if code in (429, 20429) else 503 if code == 20503 else 500 if code == 20500 else 400
    api.answers(error(401 if code == 20003 else status, code))
    message = written_to(whatsapp)

    run_ready_jobs()

    message.refresh_from_db(), whatsapp.refresh_from_db()
    conversation, job = message.conversation, Job.objects.get(task="deliver_message")
    conversation.refresh_from_db()
    assert len(api.requests) == 1
    status, state, waits, paused = {
        Remedy.RETRY: (DeliveryStatus.PENDING, State.IN_PROGRESS, True, False),
        Remedy.RETRY_LATER: (DeliveryStatus.PENDING, State.IN_PROGRESS, True, False),
        Remedy.RECONCILE: (DeliveryStatus.UNKNOWN, State.IN_PROGRESS, True, False),
        Remedy.CONFIGURE: (DeliveryStatus.PENDING, State.IN_PROGRESS, True, True),
        Remedy.GIVE_UP_RECIPIENT: (DeliveryStatus.FAILED, State.HUMAN, False, False),
        Remedy.OPTED_OUT: (DeliveryStatus.SUPPRESSED, State.IN_PROGRESS, False, False),
        Remedy.GIVE_UP_CONTENT: (DeliveryStatus.FAILED, State.HUMAN, False, False),
        Remedy.WINDOW_CLOSED: (DeliveryStatus.DRAFT, State.HUMAN, False, False),
        Remedy.RESEND_LATER: (DeliveryStatus.PENDING, State.IN_PROGRESS, True, False),
    }[remedy]
    assert message.delivery_status == status
    assert conversation.state == state
    assert (job.status == JobStatus.SCHEDULED) == waits
    assert bool(whatsapp.paused_at) == paused
    assert bool(conversation.contact.opted_out_at) == (remedy == Remedy.OPTED_OUT)
    if not waits:
        assert message.error_code == str(code)


@pytest.mark.django_db
@pytest.mark.parametrize(("code", "remedy"), CODES)
@pytest.mark.parametrize("word", ["failed", "undelivered"])
def test_a_code_that_comes_in_a_callback(client, whatsapp, word, code, remedy):
    message = outbound(whatsapp, external_id=SID)

    for _ in range(3):  # what is said again changes nothing
        response = post(
            client,
            f"{STATUS}?m={message.pk}",
            {"MessageSid": SID, "MessageStatus": word, "AccountSid": ACCOUNT_SID, "ErrorCode": str(code)},
        )
        assert response.status_code == 204

    message.refresh_from_db(), whatsapp.refresh_from_db()
    assert (message.delivery_status, message.error_code, message.external_id) == (word, str(code), SID)
    again = remedy in (Remedy.RETRY, Remedy.RETRY_LATER, Remedy.RECONCILE, Remedy.RESEND_LATER, Remedy.CONFIGURE)
    assert [job.payload for job in Job.objects.all()] == [{"message_id": message.pk, "resend": 1}] * again
    assert bool(whatsapp.paused_at) == (remedy == Remedy.CONFIGURE)
    assert bool(message.conversation.contact.opted_out_at) == (remedy == Remedy.OPTED_OUT)
    with_a_person = not again and remedy != Remedy.OPTED_OUT
    assert (message.conversation.state == State.HUMAN) == with_a_person
    assert Event.objects.count() == (0 if again else 1)
    assert StatusEvent.objects.count() == 3


@pytest.mark.parametrize("code", ["", "99999", "abc", "9" * 20, "²"])
def test_a_failure_that_nobody_knows_is_put_before_a_person(code):
    assert consequence_of(code).name == "GIVE_UP"


# --- A message that is sent again -------------------------------------------------------------------------------------


def news(client, message: Message, send: str, sid: str, status: str, code: str = "") -> None:
    params = {"MessageSid": sid, "MessageStatus": status, "AccountSid": ACCOUNT_SID, "ErrorCode": code}
    assert post(client, f"{STATUS}?m={message.pk}{send}", params).status_code == 204
    message.refresh_from_db()


def accepted(sid: str):
    return json_answer(201, {"sid": sid, "status": "queued"})


def due() -> None:
    """Time passes until what is scheduled is due."""
    Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
    run_ready_jobs()


@pytest.fixture
def failed(client, api, whatsapp) -> Message:
    """Accepted as SM1, and then not delivered."""
    api.answers(accepted("SM1"), accepted("SM2"), accepted("SM3"), accepted("SM4"), accepted("SM5"))
    message = written_to(whatsapp)
    run_ready_jobs()
    news(client, message, "", "SM1", "undelivered", "30003")
    return message


def test_it_is_sent_after_a_while_under_a_new_sid(api, client, failed):
    wait = Job.objects.get(status=JobStatus.SCHEDULED).run_after - timezone.now()
    assert timedelta(seconds=50) < wait <= timedelta(minutes=1)
    due()
    failed.refresh_from_db()
    assert (failed.external_id, failed.delivery_status, failed.resends) == ("SM2", DeliveryStatus.QUEUED, 1)
    assert [
        f"?m={failed.pk}{send}#" in dict(request.form)["StatusCallback"]
        for send, request in zip(("", ".1"), api.requests, strict=True)
    ] == [True, True]
    news(client, failed, ".1", "SM2", "delivered")
    assert failed.delivery_status == DeliveryStatus.DELIVERED


@pytest.mark.parametrize(("status", "code"), [("undelivered", "30003"), ("failed", "63016"), ("sent", "")])
def test_late_news_of_the_first_send_does_not_touch_the_second(api, client, failed, status, code):
    due()
    news(client, failed, "", "SM1", status, code)
    assert (failed.external_id, failed.delivery_status) == ("SM2", DeliveryStatus.QUEUED)
    Message.objects.filter(pk=failed.pk).update(external_id="", delivery_status=DeliveryStatus.SENDING)
    news(client, failed, "", "SM1", status, code)  # before our own commit of the second
    assert (failed.external_id, failed.delivery_status) == ("", DeliveryStatus.SENDING)
    news(client, failed, ".1", "SM2", "sent")
    assert (failed.external_id, failed.delivery_status) == ("SM2", DeliveryStatus.SENT)


def test_it_is_not_sent_again_when_it_has_arrived_after_all(api, client, failed):
    news(client, failed, "", "SM1", "delivered")
    due()
    assert len(api.requests) == 1
    assert failed.delivery_status == DeliveryStatus.DELIVERED


def test_after_three_more_sends_a_person_goes_on(api, client, failed):
    for sid, send in (("SM2", ".1"), ("SM3", ".2"), ("SM4", ".3")):
        assert failed.conversation.state == State.IN_PROGRESS
        due()
        news(client, failed, send, sid, "undelivered", "30003")
        failed.conversation.refresh_from_db()
    assert failed.conversation.state == State.HUMAN
    due()
    assert len(api.requests) == 4


def test_what_comes_after_it_is_not_held_back(api, failed):
    outbox.send(failed.conversation, "And more", author=Author.ASSISTANT, now=timezone.now())
    run_ready_jobs()
    assert [dict(request.form)["Body"] for request in api.requests] == ["Hello", "And more"]


def test_a_failure_that_is_told_before_our_own_commit_is_acted_on_once(client, api, whatsapp):
    message = written_to(whatsapp)
    Message.objects.filter(pk=message.pk).update(delivery_status=DeliveryStatus.SENDING)
    for _ in range(2):
        news(client, message, "", "SM1", "undelivered", "30003")
    assert Job.objects.filter(status=JobStatus.SCHEDULED, payload__resend=1).count() == 1
