"""Files that we send: a provider fetches them under a signed address that expires, and nobody else guesses one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import Client
from django.utils import timezone

from conversations import media_links, outbox
from conversations.models import Author, Conversation, Media, MediaState, Message

from .console import Console

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture(autouse=True)
def _files_of_the_test(settings: Any, tmp_path: Any, assistant: object) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.PUBLIC_BASE_URL = "https://bot.example.com"


def send(write: Write, text: str, *media: Any) -> list[Message]:
    write("hello", external_id="")
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get()
        return outbox.send(conversation, text, author=Author.AGENT, now=timezone.now(), media=media)


def fetch(client: Client, url: str) -> Any:
    return client.get(url.removeprefix("https://bot.example.com"))


@pytest.fixture
def url(write: Write, work: Work, other_side: Console) -> str:
    send(write, "look", ContentFile(b"%PDF-1.7 ...", name="menu.pdf"))
    work()
    return next(url for sent in other_side.sent for url in sent.media_urls)


def test_the_file_is_served_as_what_it_is(client: Client, url: str) -> None:
    response = fetch(client, url)
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == b"%PDF-1.7 ..."
    assert response["Content-Type"] == "application/pdf"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "menu" not in url


def test_a_public_address_goes_as_it_is_and_files_keep_their_order(
    write: Write, work: Work, other_side: Console
) -> None:
    send(write, "look", "https://example.com/a.png", ContentFile(b"x", name="b.png"))
    work()
    [urls] = [sent.media_urls for sent in other_side.sent if sent.text == "look"]
    assert urls[0] == "https://example.com/a.png"
    assert urls[1].startswith("https://bot.example.com/media/")


def test_files_go_with_the_first_part(write: Write, work: Work, other_side: Console) -> None:
    parts = send(write, "words " * 60, ContentFile(b"x", name="b.png"))
    work()
    sent = {message.message_id: message for message in other_side.sent}
    assert [len(sent[part.pk].media_urls) for part in parts] == [1, 0]


def test_a_file_needs_no_text(write: Write, work: Work, other_side: Console) -> None:
    [message] = send(write, "", ContentFile(b"x", name="b.png"))
    work()
    assert message.pk in {sent.message_id for sent in other_side.sent if sent.text == "" and sent.media_urls}


def test_an_address_expires(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_links, "LIFETIME", timedelta(seconds=-1))
    assert fetch(client, url).status_code == 404


@pytest.mark.parametrize("change", [lambda url: url[:-2] + "x/", lambda url: "https://bot.example.com/media/1/"])
def test_a_guessed_address_shows_nothing(client: Client, url: str, change: Callable[[str], str]) -> None:
    assert fetch(client, change(url)).status_code == 404


@pytest.mark.parametrize("change", [{"state": MediaState.DELETED}, {"file": "gone.pdf"}])
def test_a_file_that_is_gone_is_not_there(client: Client, url: str, change: dict[str, str]) -> None:
    Media.objects.update(**change)
    assert fetch(client, url).status_code == 404


def test_what_a_contact_sent_is_never_public(client: Client, url: str, write: Write) -> None:
    media = Media.objects.get()
    media.message = Message.objects.filter(direction="inbound").latest("pk")
    media.save()
    assert fetch(client, url).status_code == 404
    forged = signing.dumps(media.pk, salt="another")
    assert fetch(client, f"/media/{forged}/").status_code == 404
