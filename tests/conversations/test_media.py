"""A file comes by its own job, is what its bytes say, lies where only operators see it, and goes when it is old."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations.channels import FileLater, FileMissing, FileRefused
from conversations.inbox import InboundMedia
from conversations.media_kinds import sniff
from conversations.models import Media, MediaState, Message, Workspace
from conversations.retention import prune_media
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]

JPEG = b"\xff\xd8\xff\xe0 a photo"
PHOTO = "https://files.example.com/photo"


@pytest.fixture(autouse=True)
def _assistant(assistant: ScriptedAssistant) -> None:
    """Somebody answers, whatever it is."""


@pytest.fixture(autouse=True)
def media_root(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def files(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in root.rglob("*") if path.is_file()]


def photo(number: int = 0, content_type: str = "image/jpeg") -> InboundMedia:
    return InboundMedia(content_type, f"{PHOTO}{number}")


@pytest.fixture
def stored(write: Write, work: Work, other_side: Console) -> Media:
    other_side.files = {f"{PHOTO}0": JPEG}
    write("look", kind="image", media=(photo(),))
    work()
    return Media.objects.get()


def test_a_file_is_stored_where_only_we_can_read_it(stored: Media, media_root: Path) -> None:
    assert (stored.state, stored.content_type, stored.size) == (MediaState.STORED, "image/jpeg", len(JPEG))
    path = media_root / str(stored.file)
    assert path.read_bytes() == JPEG
    assert path.suffix == ".jpg"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_a_file_is_called_is_not_believed(write: Write, work: Work, other_side: Console, media_root: Path) -> None:
    other_side.files = {f"{PHOTO}0": b"<html><script>alert(1)</script>", f"{PHOTO}1": b"\x89PNG\r\n\x1a\n..."}
    write("look", media=(photo(0), photo(1)))
    work()
    page, picture = Media.objects.order_by("position")
    assert (page.state, page.reason) == (MediaState.REFUSED, "the file is of a kind that is not kept")
    assert (picture.state, picture.content_type) == (MediaState.STORED, "image/png")
    assert files(media_root) == [b"\x89PNG\r\n\x1a\n..."]


@pytest.mark.parametrize(
    ("head", "announced", "kind"),
    [
        (b"OggS\x00\x02", "audio/ogg; codecs=opus", ("audio/ogg", ".ogg")),
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4", ("video/mp4", ".mp4")),
        (b"\x00\x00\x00\x18ftypmp42", "audio/mp4", ("audio/mp4", ".mp4")),
        (b"RIFF\x0a\x00\x00\x00WEBPVP8 ", "image/webp", ("image/webp", ".webp")),
        (b"RIFF\x0a\x00\x00\x00WAVEfmt ", "image/webp", ("audio/wav", ".wav")),
        (b"%PDF-1.7", "image/jpeg", ("application/pdf", ".pdf")),
        (b"MZ\x90\x00", "application/pdf", None),
        (b"<svg xmlns=", "image/svg+xml", None),
        (b" \xff\xd8\xff", "image/jpeg", None),
        (b"", "image/jpeg", None),
    ],
)
def test_the_first_bytes_tell_the_kind(head: bytes, announced: str, kind: tuple[str, str] | None) -> None:
    assert sniff(head, announced=announced) == kind


def test_a_file_that_is_not_there_yet_is_looked_for_after_one_and_three_seconds(
    write: Write, other_side: Console
) -> None:
    other_side.files = {f"{PHOTO}0": FileMissing("404")}
    write("look", media=(photo(),))
    waits = []
    for _ in range(2):
        Job.objects.filter(task="fetch_media").update(status=JobStatus.READY)
        before = timezone.now()
        run_ready_jobs()
        waits.append(round((Job.objects.get(task="fetch_media").run_after - before).total_seconds()))
    assert waits == [1, 3]
    other_side.files = {f"{PHOTO}0": JPEG}
    Job.objects.filter(task="fetch_media").update(status=JobStatus.READY)
    run_ready_jobs()
    assert Media.objects.get().state == MediaState.STORED


def test_one_file_that_does_not_come_holds_up_no_other_and_is_lost_in_the_end(
    write: Write, work: Work, other_side: Console
) -> None:
    other_side.files = {f"{PHOTO}0": FileLater("away"), f"{PHOTO}1": JPEG, f"{PHOTO}2": FileRefused("too large")}
    write("look", media=(photo(0), photo(1), photo(2)))
    work()
    states = Media.objects.order_by("position").values_list("state", flat=True)
    assert list(states) == [MediaState.LOST, MediaState.STORED, MediaState.REFUSED]
    assert other_side.fetched.count(f"{PHOTO}1") == 1


def test_a_message_brings_ten_files_and_no_more(write: Write, work: Work, other_side: Console) -> None:
    other_side.files = {f"{PHOTO}{number}": JPEG for number in range(11)}
    write("look", media=tuple(photo(number) for number in range(11)))
    work()
    assert Media.objects.filter(state=MediaState.STORED).count() == 10
    assert f"{PHOTO}10" not in other_side.fetched


def test_an_attempt_that_was_ended_while_it_wrote_leaves_no_file_behind(
    write: Write, work: Work, other_side: Console, media_root: Path
) -> None:
    other_side.files = {f"{PHOTO}0": JPEG}
    write("look", media=(photo(),))
    Media.objects.update(file=default_storage.save("media/1/half.jpg", ContentFile(b"half")))
    work()
    assert files(media_root) == [JPEG]


# --- Who sees it ------------------------------------------------------------------------------------------------------


def test_an_operator_sees_it_and_no_browser_runs_it(stored: Media, admin_client: Client) -> None:
    url = reverse("admin:conversations_file", args=[stored.pk])
    transcript = reverse("admin:conversations_conversation_change", args=[stored.message.conversation_id])
    assert f'src="{url}"' in admin_client.get(transcript).content.decode()
    response = admin_client.get(url)
    assert b"".join(response) == JPEG  # type: ignore[arg-type]
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "no-store" in response["Cache-Control"]


def test_nobody_else_does(stored: Media, client: Client, django_user_model: Any) -> None:
    url = reverse("admin:conversations_file", args=[stored.pk])
    assert client.get(url).status_code == 302
    client.force_login(django_user_model.objects.create_user("guest", is_staff=True))
    assert client.get(url).status_code == 403


# --- How long it is kept ----------------------------------------------------------------------------------------------


def test_an_old_file_goes_and_that_there_was_one_stays(
    stored: Media, work: Work, media_root: Path, admin_client: Client
) -> None:
    Media.objects.update(stored_at=timezone.now() - timedelta(days=89))
    prune_media.enqueue()
    work()
    assert files(media_root) == [JPEG]
    Media.objects.update(stored_at=timezone.now() - timedelta(days=91))
    Workspace.objects.update(media_days=0)
    prune_media.enqueue()
    work()
    assert files(media_root) == [JPEG]
    Workspace.objects.update(media_days=90)
    prune_media.enqueue()
    work()
    assert files(media_root) == []
    stored.refresh_from_db()
    assert (stored.state, str(stored.file)) == (MediaState.DELETED, "")
    assert admin_client.get(reverse("admin:conversations_file", args=[stored.pk])).status_code == 404
