"""From the page of a conversation operators reply, leave notes, take it over, give it back and close it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from conversations.models import CannedReply, Conversation, Message, State

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture
def press(write: Write, admin_client: Client) -> Callable[..., str]:
    """Presses a button below the conversation; what its page shows then."""

    def press(step: str, text: str = "", client: Client = admin_client) -> str:
        path = f"/admin/conversations/conversation/{Conversation.objects.get().pk}/desk/"
        response: Any = client.post(path, {"step": step, "text": text}, follow=True)
        assert response.status_code == 200
        return str(response.content.decode())

    return press


def test_a_reply_leaves_and_takes_over(
    write: Write, work: Work, press: Callable[..., str], other_side: Console, admin_user: User
) -> None:
    write("hello")
    html = press("reply", "Maria here.")
    work()
    assert [sent.text for sent in other_side.sent] == ["Maria here."]
    assert Conversation.objects.get().assigned_to == admin_user
    assert "Maria here." in html
    assert "Give back to the assistant" in html
    assert "Assign to me" not in html


def test_a_note_stays_here(write: Write, work: Work, press: Callable[..., str], other_side: Console) -> None:
    write("hello")
    Conversation.objects.update(state=State.HUMAN)
    assert "A regular guest." in press("note", "A regular guest.")
    work()
    assert not other_side.sent


def test_it_is_taken_given_back_and_closed(
    write: Write, work: Work, press: Callable[..., str], assistant: ScriptedAssistant, other_side: Console
) -> None:
    write("hello")
    press("assign")
    assert Conversation.objects.get().state == State.HUMAN
    press("release")
    work()
    assert [sent.text for sent in other_side.sent] == ["answer 1"]
    html = press("close")
    assert Conversation.objects.get().state == State.CLOSED_BY_SUPPORT
    assert 'value="reply"' not in html
    assert "cannot be done any more" in press("reply", "Too late")


def test_nothing_is_not_sent(write: Write, press: Callable[..., str]) -> None:
    write("hello")
    assert "Write something first." in press("reply", "  ")
    assert Message.objects.count() == 1


def test_canned_replies_of_the_workspace_are_offered(write: Write, admin_client: Client) -> None:
    message = write("hello")
    workspace = message.conversation.workspace
    CannedReply.objects.create(workspace=workspace, shortcut="hours", text='We open at "eight".')
    page = admin_client.get(f"/admin/conversations/conversation/{message.conversation_id}/change/").content.decode()
    assert '<option value="We open at &quot;eight&quot;.">/hours</option>' in page


def test_who_may_only_look_may_not_press(write: Write) -> None:
    message = write("hello")
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_conversation"))
    client = Client()
    client.force_login(user)
    page = f"/admin/conversations/conversation/{message.conversation_id}/"
    assert "desk-text" not in client.get(f"{page}change/").content.decode()
    assert client.post(f"{page}desk/", {"step": "close"}).status_code == 403
    assert client.get(f"{page}desk/").status_code in (403, 405)
    assert Conversation.objects.get().state == State.PENDING
