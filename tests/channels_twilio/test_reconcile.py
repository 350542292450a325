"""Messages whose webhook never got through are found in Twilio's list, by real HTTP from the twin; never twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from channels_twilio import reconcile
from channels_twilio.models import TwilioAccount
from channels_twilio.reconcile import reconcile_account, reconcile_inbound
from conversations.inbox import InboundMessage, receive
from conversations.models import Contact, Conversation, Medium, Message, Outcome, Workspace
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus
from tests.stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, SMS, WHATSAPP, TwinProcess, running_twin

from .api_stand_in import api_stand_in, error, json_answer
from .conftest import add_sender
from .signed_requests import INBOUND, message, post

pytestmark = pytest.mark.django_db(transaction=True)

ANA, BIA = "whatsapp:+15550107777", "+15550108888"


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[TwinProcess]:
    """A twin whose webhooks find nobody: the web process is down."""
    with running_twin(public_base_url="http://127.0.0.1:1", journal=tmp_path / "twin.sqlite3") as twin:
        yield twin


@pytest.fixture
def account(db, twin, settings, monkeypatch) -> TwilioAccount:
    """Of the twin. No message is too young."""
    settings.TWILIO_API_BASE_URL = twin.base_url
    monkeypatch.setattr(reconcile, "SETTLED", timedelta(seconds=-2))
    workspace = Workspace.objects.create(name="Clinic", slug="clinic")
    account = TwilioAccount.objects.create(workspace=workspace, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN)
    add_sender(account, Medium.WHATSAPP, WHATSAPP.removeprefix("whatsapp:"))
    add_sender(account, Medium.SMS, SMS)
    return account


def run(account: TwilioAccount) -> Job:
    """One run of the account's job; what comes of the messages waits."""
    job_id = reconcile_account.enqueue(account_id=account.pk).pk
    others = Job.objects.exclude(pk=job_id).filter(status=JobStatus.READY)
    others.update(status=JobStatus.SCHEDULED, run_after=timezone.now() + timedelta(days=1))
    run_ready_jobs()
    return Job.objects.get(pk=job_id)


def stored() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("external_id", flat=True))


def test_what_came_while_the_web_was_down_is_stored_in_its_order(account, twin):
    sids = [twin.write(ANA, text, name="Ana") for text in ("one", "two", " three \n✨")]
    sids.append(twin.write(BIA, "hello", to=SMS))

    assert run(account).status == JobStatus.SUCCEEDED

    assert stored() == sids
    assert list(Message.objects.values_list("text", flat=True).order_by("pk")) == ["one", "two", " three \n✨", "hello"]
    assert set(Message.objects.values_list("outcome", flat=True)) == {Outcome.WAITING}
    assert set(Contact.objects.values_list("address", flat=True)) == {"+15550107777", "+15550108888"}
    assert Job.objects.filter(task="process_ai_response").count() == 2


def test_a_second_run_stores_nothing_again(account, twin):
    twin.write(ANA, "hello")
    run(account)
    run(account)
    assert len(stored()) == 1


def test_files_are_found_too(account, twin):
    media = [{"content_type": "image/png", "content": "iVBORw0KGgo="}, {"content_type": "text/vcard", "content": ""}]
    sid = twin.write(BIA, "look", to=SMS, media=media)
    run(account)
    found = Message.objects.get()
    assert found.kind == "image"
    files = list(found.media.order_by("position").values_list("position", "content_type"))
    assert files == [(0, "image/png"), (1, "text/vcard")]
    prefix = f"{twin.base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}/Media/ME"
    assert all(
        url.startswith(prefix) and "." not in url[-10:] for url in found.media.values_list("source_url", flat=True)
    )


def test_what_we_sent_is_not_taken_for_a_message_of_a_contact(account, twin):
    twin.client().messages.create(to=BIA, from_=SMS, body="hello from us")
    run(account)
    assert stored() == []


def test_a_stop_is_heeded_late_as_well(account, twin):
    twin.write(BIA, "STOP", to=SMS)
    run(account)
    assert Contact.objects.get().opted_out_at


def test_a_late_webhook_tells_what_the_list_does_not(account, twin, settings):
    sid = twin.write(ANA, "Tuesday")
    run(account)
    assert Message.objects.get().kind == "text"
    late = message(
        MessageSid=sid,
        AccountSid=ACCOUNT_SID,
        From=ANA,
        To=WHATSAPP,
        Body="Tuesday",
        MessageType="interactive",
        ButtonPayload="tue",
        ProfileName="Ana",
    )
    assert post(Client(), INBOUND, late, token=AUTH_TOKEN).status_code == 200
    found = Message.objects.get()
    assert (found.kind, found.details) == ("interactive", {"button": {"payload": "tue"}})
    assert found.raw["ButtonPayload"] == "tue"
    assert Contact.objects.get().name == "Ana"


def test_a_message_that_came_to_another_address_of_the_workspace_is_known(account, twin):
    """By the webhook, a number of a Messaging Service stands for all of its numbers."""
    sid = twin.write(BIA, "hello", to=SMS)
    service = add_sender(account, Medium.SMS, "+15550100077")
    come = InboundMessage(external_id=sid, sender=BIA, sender_name="", text="hello", raw={"Body": "hello"})
    receive(come, account=service, now=timezone.now())
    run(account)
    assert stored() == [sid]


def test_all_pages_are_read(account, twin, monkeypatch):
    monkeypatch.setattr(reconcile, "PAGE", 2)
    sids = [twin.write(ANA, str(n)) for n in range(7)]
    run(account)
    assert stored() == sids


def test_a_message_younger_than_a_minute_is_left_to_its_webhook(account, twin, monkeypatch):
    monkeypatch.setattr(reconcile, "SETTLED", timedelta(minutes=1))
    twin.write(ANA, "hello")
    run(account)
    assert stored() == []
    account.refresh_from_db()
    assert account.reconciled_until < timezone.now() - timedelta(seconds=59)


def test_the_window_to_answer_is_counted_from_when_it_was_written(account, twin):
    before = timezone.now()
    twin.write(ANA, "hello")
    run(account)
    (at,) = Conversation.objects.values_list("last_inbound_at", flat=True)
    assert before - timedelta(seconds=1) <= at <= timezone.now()
    assert at.microsecond == 0  # Twilio's clock, not ours


def test_two_runs_and_the_webhooks_at_once_store_each_message_once(account, twin):
    sids = [twin.write(f"whatsapp:+1555011{n:04}", "hello") for n in range(6)]
    now = timezone.now()
    credentials = reconcile.Credentials.of(account)

    def look(_: int) -> None:
        try:
            reconcile.reconcile_window(
                account,
                credentials,
                now - timedelta(minutes=1),
                now + timedelta(minutes=1),
                outside=lambda: nullcontext(10),
            )
        finally:
            connection.close()

    def deliver(sid: str) -> int:
        params = message(MessageSid=sid, AccountSid=ACCOUNT_SID, To=WHATSAPP)
        params["From"] = f"whatsapp:+1555011{sids.index(sid):04}"
        try:
            return post(Client(), INBOUND, params, token=AUTH_TOKEN).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        runs, answers = threads.map(look, range(2)), threads.map(deliver, sids)
        list(runs)
        assert set(answers) == {200}
    assert sorted(stored()) == sorted(sids)
    assert Job.objects.filter(task="process_ai_response").count() == 6


# --- How far it has come ------------------------------------------------------------------------------------------


def page(*messages: dict[str, str], next_page_uri: str | None = None) -> dict[str, object]:
    return {"messages": list(messages), "next_page_uri": next_page_uri, "page": 0, "page_size": 1000}


def test_the_watermark_goes_on_and_the_next_run_overlaps_it(account, settings):
    now = timezone.now()
    TwilioAccount.objects.update(reconciled_until=now - timedelta(minutes=3))
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        api.answers(json_answer(200, page()))
        run(account)
        asked = [request.query for request in api.requests]
    account.refresh_from_db()
    assert account.reconciled_until >= now
    first = (now - timedelta(minutes=3) - reconcile.OVERLAP - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert asked[0]["DateSent>"] == first
    assert len(asked) == 1


def test_the_watermark_stays_where_twilio_could_not_be_asked(account, settings):
    mark = timezone.now() - timedelta(minutes=3)
    TwilioAccount.objects.update(reconciled_until=mark)
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        for step in (error(500, 20500), error(401, 20003), json_answer(200, ["no", "page"])):
            api.answers(step)
            job = run(account)
            assert job.status == JobStatus.SCHEDULED  # it is tried again
            job.delete()
    account.refresh_from_db()
    assert account.reconciled_until == mark


def test_credentials_that_are_refused_are_alerted_once_and_nothing_dies(account, settings, caplog):
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        api.answers(error(401, 20003))
        for _ in range(7):
            reconcile_inbound.enqueue()
            Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
            run_ready_jobs()
    job = Job.objects.get(task="reconcile_account")
    assert (job.status, job.failures) == (JobStatus.SCHEDULED, 0)
    assert job.run_after - timezone.now() > timedelta(minutes=14)
    alerts = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert alerts == [
        f"Twilio account {account.pk}: messages whose webhook is lost stay lost: "
        "Twilio refuses the account's credentials: 401"
    ]


def test_credentials_that_cannot_be_read_wait_for_a_person_too(account, settings):
    settings.SECRET_KEY = "another"
    job = run(account)
    assert (job.status, job.failures) == (JobStatus.SCHEDULED, 0)
    assert job.reason == "SECRET_KEY does not open the Twilio account's credentials"


def test_the_watermark_never_goes_back(account, twin):
    ahead = timezone.now() + timedelta(minutes=5)
    TwilioAccount.objects.update(reconciled_until=ahead)
    run(account)
    account.refresh_from_db()
    assert account.reconciled_until == ahead


def test_a_run_without_time_leaves_the_rest_to_the_next(account, settings, monkeypatch):
    monkeypatch.setattr(reconcile, "RESERVE_SECONDS", 10_000)
    mark = timezone.now() - timedelta(hours=5)
    TwilioAccount.objects.update(reconciled_until=mark)
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        api.answers(json_answer(200, page()))
        run(account)
        run(account)
        assert len(api.requests) == 2
    account.refresh_from_db()
    assert account.reconciled_until == mark + 2 * (reconcile.WINDOW - reconcile.OVERLAP)


def test_an_account_that_fails_stops_no_other(account, twin):
    wrong = "AC" + "0" * 32
    TwilioAccount.objects.create(workspace=account.workspace, account_sid=wrong, auth_token="e" * 32)
    sid = twin.write(ANA, "hello")
    reconcile_inbound.enqueue()
    jobs = Job.objects.filter(queue_name="maintenance")
    while jobs.filter(status=JobStatus.READY).exists():
        run_ready_jobs()
    assert stored() == [sid]
    states = Job.objects.filter(task="reconcile_account").order_by("pk").values_list("status", flat=True)
    assert list(states) == [JobStatus.SUCCEEDED, JobStatus.SCHEDULED]


def test_no_body_number_or_token_is_told_when_it_fails(account, settings):
    with api_stand_in() as api:
        settings.TWILIO_API_BASE_URL = api.url
        api.answers(error(400, 20001, f"{ANA} wrote hello with {AUTH_TOKEN}"))
        job = run(account)
    (attempt,) = job.attempts.all()
    assert attempt.message == "Twilio cannot be asked: TwilioException"


# --- manage.py twilio_reconcile -----------------------------------------------------------------------------------


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("twilio_reconcile", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_says_what_it_found(account, twin, monkeypatch):
    monkeypatch.setattr("channels_twilio.management.commands.twilio_reconcile.SETTLED", timedelta(seconds=-2))
    for text in ("one", "two"):
        twin.write(ANA, text)
    assert command("--since", "2h") == f"{ACCOUNT_SID}: 2 found, 2 stored, 0 known\n"
    assert command("--since", "90m", "--account", ACCOUNT_SID) == f"{ACCOUNT_SID}: 2 found, 0 stored, 2 known\n"


def test_the_command_goes_on_after_an_account_that_fails_and_fails_in_the_end(account, twin, monkeypatch):
    monkeypatch.setattr("channels_twilio.management.commands.twilio_reconcile.SETTLED", timedelta(seconds=-2))
    TwilioAccount.objects.update(auth_token="e" * 32)
    other = TwilioAccount.objects.create(
        workspace=account.workspace, account_sid="AC" + "0" * 32, auth_token=AUTH_TOKEN
    )
    with pytest.raises(CommandError, match=f"{ACCOUNT_SID}, {other}"):
        command("--since", "10m")


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--since", "2"], ["--since", "2h", "--account", "AC1"]])
def test_the_command_refuses_what_it_does_not_understand(account, arguments):
    with pytest.raises(CommandError):
        command(*arguments)
