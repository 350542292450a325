"""The whole way of a message, through real processes and HTTP: what is taken is answered, once, whatever is killed."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from twilio.request_validator import RequestValidator

from .stand_ins.openai import OpenAIServer
from .stand_ins.product import Product
from .stand_ins.servers import SQS, Server, Valkey
from .stand_ins.transcription import heard, transcription_server
from .stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, ROOT, SMS, WHATSAPP, eventually

pytestmark = pytest.mark.journey

LEASE = 5.0
CARRIERS: dict[str, Callable[[], Server]] = {"redis": Valkey, "sqs": SQS}
contacts = (f"whatsapp:+1555020{number:04}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a new installation: made once, copied for each product."""
    directory = tmp_path_factory.mktemp("installed")
    Product(directory).setup()
    return directory


@pytest.fixture(scope="module")
def make_product(
    installed: Path, model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Product]]:
    ends = ExitStack()  # of all of them, also when the requests of one are complained of

    def make(**env: str) -> Product:
        directory = tmp_path_factory.mktemp("product")
        shutil.copytree(installed, directory, dirs_exist_ok=True)
        assistant = {"AI_MODEL": "openai:test", "OPENAI_API_KEY": "test", "OPENAI_BASE_URL": model.base_url}
        product = Product(directory, **assistant, **env)
        ends.push(product)
        product.start_twin(window_hours=0)  # of what post_signed brings past it, the twin knows nothing
        return product

    with ends:
        yield make


@pytest.fixture(scope="module")
def product(make_product: Callable[..., Product]) -> Product:
    """One that runs for all tests of this file that leave it as they found it."""
    product = make_product()
    product.start("web", "worker", "scheduler")
    return product


@pytest.fixture(scope="module", params=["database", *CARRIERS])
def product_on_each(request: pytest.FixtureRequest, make_product: Callable[..., Product]) -> Iterator[Product]:
    """On each carrier of rings, with what listens there."""
    if request.param == "database":
        yield request.getfixturevalue("product")
        return
    with CARRIERS[request.param]() as carrier:
        product = make_product(QUEUE_URL=carrier.url, **carrier.env)
        product.start("worker", "web")
        eventually(lambda: product.is_ready, within=20)  # a worker makes SQS's queues
        product.start("scheduler")
        yield product
        for name in list(product.processes):
            assert product.stop(name) == 0
            assert "is away" not in product.log(name).read_text()


@pytest.fixture(autouse=True)
def _fresh_script(model: OpenAIServer) -> None:
    model.reset()


def answers(product: Product, contact: str) -> list[str]:
    assert product.twin
    return [message["body"] for message in product.twin.sent(contact)]


def outcomes(product: Product, contact: str) -> list[str]:
    number = contact.removeprefix("whatsapp:")
    return [
        outcome
        for (outcome,) in product.rows(
            "SELECT message.outcome FROM conversations_message message"
            " JOIN conversations_conversation conversation ON conversation.id = message.conversation_id"
            " JOIN conversations_contact contact ON contact.id = conversation.contact_id"
            f" WHERE message.direction = 'inbound' AND contact.address = '{number}' ORDER BY message.seq"
        )
    ]


def test_a_message_is_answered_and_the_answer_is_read(product_on_each: Product) -> None:
    product = product_on_each
    assert product.twin
    contact = next(contacts)
    product.twin.write(contact, "Olá, quero agendar ✨")
    (answer,) = eventually(lambda: product.twin and product.twin.sent(contact), within=15)
    assert answer["body"] == "You wrote: Olá, quero agendar ✨"
    status = f"SELECT delivery_status FROM conversations_message WHERE external_id = '{answer['sid']}'"
    eventually(lambda: product.rows(status) == [("read",)])
    assert outcomes(product, contact) == ["answered"]
    assert product.rows("SELECT DISTINCT status FROM queueing_job WHERE subject LIKE 'conversation:%'") == [
        ("succeeded",)
    ]


def test_an_sms_is_answered_from_the_number_it_was_sent_to(product: Product) -> None:
    assert product.twin
    product.twin.write("+15550299999", "Hi there", to=SMS)
    (answer,) = eventually(lambda: product.twin and product.twin.sent("+15550299999"), within=15)
    assert (answer["sender"], answer["body"]) == (SMS, "You wrote: Hi there")


def test_a_burst_of_three_gets_one_answer(product: Product, model: OpenAIServer) -> None:
    assert product.twin
    contact = next(contacts)
    for text in ("one", "two", "three"):
        product.twin.write(contact, text)
    eventually(lambda: answers(product, contact), within=15)
    asked = model.journal[-1]["body"]["messages"][-1]["content"]
    assert all(text in str(asked) for text in ("one", "two", "three"))
    time.sleep(1.5)  # a second answer would have come by now
    assert len(answers(product, contact)) == 1
    assert outcomes(product, contact) == ["merged", "merged", "answered"]


def test_a_webhook_delivered_twice_is_answered_once(product: Product) -> None:
    contact = next(contacts)
    for _ in range(2):
        response = post_signed(product, contact, "twice", sid="SM" + "d" * 32)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "text/xml")
    eventually(lambda: answers(product, contact), within=15)
    time.sleep(1.5)
    assert answers(product, contact) == ["You wrote: twice"]
    assert outcomes(product, contact) == ["answered"]


def test_the_scheduler_enqueues_and_the_worker_executes(product: Product) -> None:
    eventually(
        lambda: (
            {("process_idle",), ("process_expired",)}
            <= set(
                product.rows("SELECT task FROM queueing_job WHERE status = 'succeeded' AND scheduled_for IS NOT NULL")
            )
        ),
        within=10,
    )
    twice = (
        "SELECT task, scheduled_for FROM queueing_job WHERE scheduled_for IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1"
    )
    assert product.rows(twice) == []


def test_a_worker_that_is_killed_while_the_model_thinks_is_followed_by_the_next(
    product: Product, model: OpenAIServer
) -> None:
    """The child dies alone: its parent takes the job back at once, and another process answers."""
    assert product.twin
    contact = next(contacts)
    model.script({"delay": 30, "text": "too late"})
    product.twin.write(contact, "are you there?")
    eventually(lambda: model.journal, within=15)
    (worker,) = product.children("worker")
    os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    eventually(lambda: answers(product, contact), within=LEASE + 5)
    assert time.monotonic() - killed < LEASE + 5
    assert answers(product, contact) == ["You wrote: are you there?"]
    assert outcomes(product, contact) == ["answered"]


def test_a_machine_that_is_lost_while_the_model_thinks_is_followed_by_another(
    make_product: Callable[..., Product], model: OpenAIServer
) -> None:
    """Parent and child die together: the lease runs out, and a worker that knows nothing of them answers."""
    product = make_product()
    assert product.twin
    product.start("web", "worker")
    contact = next(contacts)
    model.script({"delay": 30, "text": "too late"})
    product.twin.write(contact, "are you there?")
    eventually(lambda: model.journal, within=15)
    product.kill("worker")
    killed = time.monotonic()
    product.start("worker")
    eventually(lambda: answers(product, contact), within=LEASE + 5)
    assert time.monotonic() - killed < LEASE + 5
    assert answers(product, contact) == ["You wrote: are you there?"]


def test_everything_is_killed_and_nothing_is_lost(make_product: Callable[..., Product], model: OpenAIServer) -> None:
    product = make_product()
    assert product.twin
    product.start("web", "worker", "scheduler")
    mine = [next(contacts) for _ in range(12)]
    model.script(*[{"delay": 30, "text": "too late"}] * 4)  # so that something is under way when they are killed
    for contact in mine:
        assert post_signed(product, contact, "hello", sid=f"SM{contact[-4:]:0>32}").status_code == 200
    eventually(lambda: any(answers(product, contact) for contact in mine), within=15)
    product.kill("web", "worker", "scheduler")
    assert {outcome for contact in mine for outcome in outcomes(product, contact)} >= {"waiting"}
    product.start("web", "worker", "scheduler")
    eventually(lambda: all(answers(product, contact) for contact in mine), within=LEASE + 25)
    time.sleep(1.5)
    assert [len(answers(product, contact)) for contact in mine] == [1] * 12
    assert [outcomes(product, contact) for contact in mine] == [["answered"]] * 12


def test_a_locked_database_gives_503_in_time_and_takes_the_message_when_it_is_free(product: Product) -> None:
    contact = next(contacts)
    other = sqlite3.connect(product.directory / "recado.sqlite3")
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    refused = post_signed(product, contact, "hello", sid="SM" + "e" * 32)
    took = time.monotonic() - started
    other.rollback()
    other.close()
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert took < 3
    assert outcomes(product, contact) == []
    assert post_signed(product, contact, "hello", sid="SM" + "e" * 32).status_code == 200
    eventually(lambda: answers(product, contact), within=15)


def test_a_voice_note_is_answered_as_text_and_a_photo_is_shown_to_operators_alone(
    make_product: Callable[..., Product],
) -> None:
    with transcription_server(heard("Vocês abrem no sábado?")) as transcription:
        product = make_product(TRANSCRIPTION_BASE_URL=f"{transcription.url}/v1")
        assert product.twin
        product.start("web", "worker")
        contact = next(contacts)
        product.twin.write(contact, "", media=[attachment("audio/ogg", b"OggS voice")])
        eventually(lambda: answers(product, contact), within=15)
    assert answers(product, contact) == ["You wrote: Vocês abrem no sábado?"]
    assert b"OggS voice" in transcription.seen[0].body

    photo = b"\xff\xd8\xff photo"
    product.twin.write(contact, "Isto aqui", media=[attachment("image/jpeg", photo)])
    stored = "SELECT id FROM conversations_media WHERE content_type = 'image/jpeg' AND state = 'stored'"
    ((media,),) = eventually(lambda: product.rows(stored), within=15)
    url = f"{product.base_url}/admin/conversations/message/file/{media}/"
    assert httpx.get(url, timeout=10, trust_env=False).status_code == 302  # to the login
    with closing(operator(product)) as browser:
        shown = browser.get(url)
    assert (shown.content, shown.headers["Content-Type"]) == (photo, "image/jpeg")
    eventually(lambda: len(answers(product, contact)) == 2, within=15)


def attachment(content_type: str, content: bytes) -> dict[str, str]:
    return {"content_type": content_type, "content": base64.b64encode(content).decode()}


def operator(product: Product) -> httpx.Client:
    """Somebody who is logged in."""
    arguments = ["createsuperuser", "--noinput", "--username", "ana", "--email", "ana@example.com"]
    environment = product.env | {"DJANGO_SUPERUSER_PASSWORD": "olá, 2026"}
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True)
    browser = httpx.Client(base_url=product.base_url, follow_redirects=True, timeout=10, trust_env=False)
    browser.get("/admin/login/")
    form = {"username": "ana", "password": "olá, 2026", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    assert "sessionid" in browser.post("/admin/login/", data=form).request.headers["Cookie"]
    return browser


def post_signed(product: Product, contact: str, text: str, *, sid: str) -> httpx.Response:
    """An inbound webhook, signed as Twilio signs it."""
    url = f"{product.base_url}/webhooks/twilio/inbound/"
    params = {
        "AccountSid": ACCOUNT_SID,
        "MessageSid": sid,
        "From": contact,
        "To": WHATSAPP,
        "Body": text,
        "NumMedia": "0",
    }
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, params)
    return httpx.post(url, data=params, headers={"X-Twilio-Signature": signature}, timeout=10, trust_env=False)
