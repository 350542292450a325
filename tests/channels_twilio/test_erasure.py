"""A contact is forgotten: here, in the files, in the queue, in quarantine, and at Twilio. Nobody else is."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from channels_twilio import reconcile
from channels_twilio.models import QuarantinedRequest, StatusEvent, TwilioAccount
from channels_twilio.reconcile import reconcile_account
from conversations.erasure import erase_contact, erase_later
from conversations.models import Contact, Conversation, Erasure, Fact, Media, Medium, Message, Note, Workspace
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Attempt, Job, JobStatus
from tests.stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, WHATSAPP, TwinProcess, running_twin

from .conftest import add_sender

pytestmark = pytest.mark.django_db(transaction=True)

ANA, BIA = "whatsapp:+15550107777", "whatsapp:+15550108888"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"a canary in a picture" * 10


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[TwinProcess]:
    with running_twin(public_base_url="http://127.0.0.1:1", journal=tmp_path / "twin.sqlite3") as twin:
        yield twin


@pytest.fixture
def account(db, twin, settings, monkeypatch, tmp_path) -> TwilioAccount:
    settings.TWILIO_API_BASE_URL = twin.base_url
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.REPLY_DEBOUNCE_SECONDS = 0
    monkeypatch.setattr(reconcile, "SETTLED", timedelta(seconds=-2))
    workspace = Workspace.objects.create(name="Clinic", slug="clinic")
    account = TwilioAccount.objects.create(workspace=workspace, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN)
    add_sender(account, Medium.WHATSAPP, WHATSAPP.removeprefix("whatsapp:"))
    return account


@pytest.fixture
def talked(account: TwilioAccount, twin: TwinProcess) -> Contact:
    """Ana has written, with a picture, and was answered; so has Bia. Of Ana there is more in every corner."""
    picture = {"content_type": "image/png", "content": b64encode(PICTURE).decode()}
    twin.write(ANA, "my canary is ill", name="Ana Canary", media=[picture])
    twin.write(BIA, "hello", name="Bia")
    reconcile_account.enqueue(account_id=account.pk)
    work()
    Contact.objects.filter(address="+15550107777").update(name="Ana Canary")
    ana = Contact.objects.get(address="+15550107777")
    conversation = Conversation.objects.get(contact=ana)
    Note.objects.create(conversation=conversation, text="her canary again", at=timezone.now())
    Fact.objects.create(contact=ana, name="pet", value="canary", updated_at=timezone.now())
    for answer in Message.objects.filter(conversation=conversation).exclude(external_id=""):
        StatusEvent.objects.create(
            account_sid=ACCOUNT_SID,
            external_id=answer.external_id,
            status="sent",
            raw={"To": ANA},
            received_at=timezone.now(),
        )
    for number in ("%2B15550107777", "%2B15550108888"):
        QuarantinedRequest.objects.create(
            received_at=timezone.now(), path="/", scheme="https", body=f"From=whatsapp%3A{number}&Body=canary".encode()
        )
    return ana


def work() -> None:
    for _ in range(10):
        Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
        run_ready_jobs()


def everything_stored() -> str:
    """All rows of all tables, as text."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += [
                " ".join(str(bytes(v) if isinstance(v, (bytes, memoryview)) else v) for v in row)
                for row in cursor.fetchall()
            ]
    return "\n".join(rows)


def at_twilio(twin: TwinProcess, contact: str) -> list[str]:
    """What Twilio still has of the contact."""
    url = f"{twin.base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    answer = httpx.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), trust_env=False).json()
    return [m["sid"] for m in answer["messages"] if contact in (m["to"], m["from"])]


def test_nothing_is_left_of_the_contact_and_everything_of_others(talked, twin, settings):
    before = everything_stored()
    assert "15550107777" in before
    assert "Canary" in before
    assert len(at_twilio(twin, ANA)) == 2
    assert [path.read_bytes() for path in Path(settings.MEDIA_ROOT).rglob("*.png")] == [PICTURE]
    theirs = Message.objects.filter(conversation__contact__address="+15550108888").count()

    erasure = erase_later(talked, by="operator", now=timezone.now())
    work()

    left = everything_stored()
    assert "15550107777" not in left
    assert "Ana" not in left
    assert left.count("canary") == 1  # in Bia's request
    assert at_twilio(twin, ANA) == []
    assert not list(Path(settings.MEDIA_ROOT).rglob("*.png"))
    assert Message.objects.filter(conversation__contact__address="+15550108888").count() == theirs > 0
    assert len(at_twilio(twin, BIA)) == theirs
    erasure.refresh_from_db()
    assert erasure.finished_at
    assert erasure.counts == {"messages": 2, "files": 1, "records": 3, "conversations": 1, "jobs": 3}


def test_the_jobs_go_with_their_attempts(talked):
    subject = f"conversation:{Conversation.objects.get(contact=talked).pk}"
    jobs = list(Job.objects.filter(subject=subject).values_list("pk", flat=True))
    assert Attempt.objects.filter(job__in=jobs).exists()
    erase_later(talked, by="operator", now=timezone.now())
    work()
    assert not Job.objects.filter(pk__in=jobs).exists()
    assert not Attempt.objects.filter(job__in=jobs).exists()


def test_while_twilio_is_away_nothing_is_said_to_be_finished(talked, twin):
    twin.play([{"match": {"operation": "delete", "nth": 1}, "fault": "500_not_executed"}])
    erasure = erase_later(talked, by="operator", now=timezone.now())
    run_ready_jobs()
    erasure.refresh_from_db()
    assert erasure.finished_at is None
    assert Message.objects.filter(conversation__contact=talked).count() == 2

    work()
    erasure.refresh_from_db()
    assert erasure.finished_at
    assert at_twilio(twin, ANA) == []


def test_who_is_erased_twice_gets_two_certificates(talked):
    first = erase_later(talked, by="operator", now=timezone.now())
    work()
    second = Erasure.objects.create(
        workspace=first.workspace, reference="7c9e6679-7425-40de-944b-e07fc1f90ae7", requested_at=timezone.now()
    )
    erase_contact.enqueue(contact_id=talked.pk, erasure_id=second.pk)
    work()
    second.refresh_from_db()
    assert second.finished_at
    assert second.counts == {}


def test_the_command_takes_workspace_and_address(talked, capsys):
    call_command("erase_contact", "clinic", "+15550107777")
    assert str(Erasure.objects.get().reference) in capsys.readouterr().out
    work()
    assert not Contact.objects.filter(address="+15550107777").exists()
    assert not Media.objects.exists()
    with pytest.raises(CommandError, match="no such contact"):
        call_command("erase_contact", "clinic", "+15550107777")
