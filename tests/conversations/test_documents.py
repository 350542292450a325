"""What is uploaded becomes knowledge that is found; what cannot be read says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from conversations import documents, knowledge
from conversations.models import Document, KnowledgeEntry, Workspace

Work = Callable[[], None]
Upload = Callable[..., Document]

MARKDOWN = "Welcome.\n\n# Opening hours\nFrom nine.\n\n## Holidays ##\nClosed.\n"


@pytest.fixture
def upload(transactional_db: None, settings: Any, tmp_path: Path, work: Work) -> Upload:
    settings.MEDIA_ROOT = tmp_path
    workspace = Workspace.objects.create(name="Padaria", slug="padaria")

    def upload(name: str, content: bytes) -> Document:
        document = Document.objects.create(workspace=workspace, name="Guide", file=ContentFile(content, name))
        documents.read_later(document)
        work()
        document.refresh_from_db()
        return document

    return upload


def pdf(text: str) -> bytes:
    """A page with one line, as small as PDF allows."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"xref\n0 5\n0000000000 65535 f \n%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )


def test_the_sections_of_markdown_are_entries(upload: Upload) -> None:
    document = upload("guide.md", MARKDOWN.encode())
    assert document.read_at
    assert list(document.entries.order_by("pk").values_list("title", "body")) == [
        ("Guide", "Welcome."),
        ("Guide: Opening hours", "From nine."),
        ("Guide: Holidays", "Closed."),
    ]


def test_a_long_text_is_cut_and_found(upload: Upload) -> None:
    sentences = " ".join(f"Sentence number {number}." for number in range(200))
    document = upload("guide.txt", f"{sentences} We sell zeppelins.".encode())
    assert document.entries.count() == 3
    assert all(len(entry.body) <= documents.LENGTH for entry in document.entries.all())
    [(title, body)] = knowledge.search(workspace_id=document.workspace_id, texts=["zeppelins?"])
    assert title == "Guide (3)"
    assert body.endswith("We sell zeppelins.")


def test_the_text_of_a_pdf_is_read(upload: Upload) -> None:
    assert upload("guide.pdf", pdf("We open at nine.")).entries.get().body == "We open at nine."


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.pdf", b"no pdf"), ("a.pdf", pdf("x")[:80]), ("a.pdf", b""), ("a.txt", b"\xff\xfe\x00x"), ("a.md", b"  \n")],
)
def test_what_cannot_be_read_says_so(upload: Upload, name: str, content: bytes) -> None:
    document = upload(name, content)
    assert (document.read_at, document.entries.count()) == (None, 0)
    assert "could not be read" in document.problem


def test_reading_again_makes_nothing_twice(upload: Upload, work: Work) -> None:
    document = upload("guide.md", MARKDOWN.encode())
    documents.read_later(document)
    work()
    assert KnowledgeEntry.objects.count() == 3


def test_a_document_goes_with_its_entries_and_its_file(upload: Upload) -> None:
    document = upload("guide.md", MARKDOWN.encode())
    documents.delete(document)
    assert not KnowledgeEntry.objects.exists()
    assert not default_storage.exists(str(document.file))


def test_it_is_uploaded_and_looked_at_in_the_admin(upload: Upload, work: Work, admin_client: Client) -> None:
    page = "/admin/conversations/document/"
    given = {"workspace": Workspace.objects.get().pk, "name": "Guide"}
    refused = admin_client.post(f"{page}add/", given | {"file": SimpleUploadedFile("guide.exe", b"MZ")})
    assert "Markdown" in refused.content.decode()
    admin_client.post(f"{page}add/", given | {"file": SimpleUploadedFile("guide.MD", MARKDOWN.encode())})
    work()
    document = Document.objects.get()
    assert document.entries.count() == 3
    for path in (page, f"{page}{document.pk}/change/"):
        assert admin_client.get(path).status_code == 200
