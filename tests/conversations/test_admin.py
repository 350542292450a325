"""What an operator sees of a conversation: who wrote what, what became of it, and which jobs it cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.assistants import Reply
from conversations.models import Contact, Conversation, DeliveryStatus, KnowledgeEntry, Message, Workspace

from .scripted import ScriptedAssistant

pytestmark = pytest.mark.django_db(transaction=True)

CONVERSATIONS = "/admin/conversations/conversation/"
MESSAGES = "/admin/conversations/message/"

Write = Callable[..., Message]


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


@pytest.fixture
def agent(db: None) -> Client:
    """The browser of someone who may see conversations, and no jobs."""
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_conversation", "view_message"]))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def transcript(
    write: Write, work: Callable[[], None], assistant: ScriptedAssistant, admin_client: Client
) -> Callable[[], str]:
    """Answers what was written, and opens the page of the conversation."""

    def transcript() -> str:
        work()
        return page(admin_client, f"{CONVERSATIONS}{Conversation.objects.get().pk}/change/")

    return transcript


def test_a_question_and_its_answer_are_shown_with_what_became_of_them(
    write: Write, transcript: Callable[[], str], assistant: ScriptedAssistant
) -> None:
    assistant.replies.append(Reply("We open at eight."))
    write("When do you open?")

    html = transcript()

    assert html.index("When do you open?") < html.index("We open at eight.")
    assert 'class="bubble inbound contact received"' in html
    assert 'class="bubble outbound assistant queued"' in html
    assert 'href="#message-2"' in html, "the question leads to its answer"
    assert "answered" in html


def test_the_jobs_of_the_conversation_are_linked_and_the_history_told(
    write: Write, transcript: Callable[[], str]
) -> None:
    write("Hello")

    html = transcript()

    for task in ("process_ai_response", "deliver_message"):
        assert task in html
    assert html.count("/admin/queueing/job/") > 2
    assert "in progress" in html


def test_who_may_not_see_jobs_sees_the_conversation_without_them(
    write: Write, transcript: Callable[[], str], agent: Client
) -> None:
    write("Hello")
    transcript()

    html = page(agent, f"{CONVERSATIONS}{Conversation.objects.get().pk}/change/")

    assert "Hello" in html
    assert "process_ai_response" not in html


def test_what_a_contact_writes_is_never_html(write: Write, transcript: Callable[[], str]) -> None:
    evil = "<script>alert(1)</script>"
    write(evil, sender_name=evil)

    html = transcript()

    assert evil not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_draft_says_that_it_was_never_sent(write: Write, transcript: Callable[[], str]) -> None:
    write("Hello")
    transcript()
    Message.objects.filter(direction="outbound").update(delivery_status=DeliveryStatus.DRAFT)

    assert "draft, never sent" in transcript()


@pytest.mark.parametrize("path", [CONVERSATIONS, MESSAGES])
def test_a_list_costs_as_many_queries_for_many_as_for_one(write: Write, admin_client: Client, path: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(admin_client, path)
        return len(captured)

    write("Hello")
    page(admin_client, path)  # what is looked up once and kept
    for_one = queries()
    for number in range(5):
        write("Hello", sender=f"+1555010900{number}")

    assert queries() == for_one


def test_the_list_counts_what_nobody_has_answered(write: Write, admin_client: Client) -> None:
    for _ in range(3):
        write("Anybody there?")

    conversation = admin_client.get(CONVERSATIONS).context["cl"].result_list[0]

    assert conversation.waiting == 3


@pytest.mark.parametrize("term", ["ana", "7777"])
def test_a_conversation_is_found_by_its_contact(write: Write, admin_client: Client, term: str) -> None:
    write("Hello")
    write("Hi", sender="+4930901820", sender_name="Bruno")

    found = admin_client.get(CONVERSATIONS, {"q": term}).context["cl"].result_list

    assert [str(conversation.contact) for conversation in found] == ["Ana"]


@pytest.mark.parametrize("term", ["in-1", "delivery"])
def test_a_message_is_found_by_its_external_id_or_its_words(write: Write, admin_client: Client, term: str) -> None:
    wanted = write("About my delivery")
    write("Something else")

    assert list(admin_client.get(MESSAGES, {"q": term}).context["cl"].result_list) == [wanted]


def test_nobody_rewrites_what_was_said(write: Write, admin_client: Client) -> None:
    message = write("Hello")

    assert admin_client.post(f"{MESSAGES}{message.pk}/change/", {"text": "Goodbye"}).status_code == 403
    assert admin_client.post(f"{MESSAGES}{message.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "Hello" in page(admin_client, f"{MESSAGES}{message.pk}/change/")


def test_an_operator_names_a_contact_but_does_not_move_their_number(write: Write, admin_client: Client) -> None:
    write("Hello")
    contact = Contact.objects.get()

    admin_client.post(f"/admin/conversations/contact/{contact.pk}/change/", {"name": "Ana S.", "address": "+1"})

    contact.refresh_from_db()
    assert (contact.name, contact.address) == ("Ana S.", "+15550107777")


def test_an_operator_teaches_the_assistant(admin_client: Client) -> None:
    workspace = Workspace.objects.create(name="Padaria", slug="padaria")
    entry: dict[str, Any] = {"workspace": workspace.pk, "title": "Parking", "body": "Behind the house."}

    admin_client.post("/admin/conversations/knowledgeentry/add/", entry)

    assert KnowledgeEntry.objects.get().body == "Behind the house."
