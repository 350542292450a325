"""An uploaded text, Markdown or PDF becomes knowledge: entries that are short enough to be found and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import PurePath
from typing import IO

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.context import JobContext
from queueing.errors import Discard
from queueing.tasks import task

from .models import Document, KnowledgeEntry
from .splitting import split_text

SUFFIXES = (".txt", ".md", ".pdf")
LENGTH = 1500  # characters of one entry
MAX_ENTRIES = 2000  # of one document
MAX_PAGES = 1000  # of a PDF

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


def suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def read_later(document: Document) -> None:
    """Enqueue the reading of a document that is being stored, in that transaction."""
    read_document.using(fairness_key=f"workspace:{document.workspace_id}").enqueue(document_id=document.pk)


def delete(document: Document) -> None:
    """Delete the document, what was read in it, and its file."""
    with transaction.atomic():
        document.delete()
        transaction.on_commit(partial(default_storage.delete, str(document.file)))


@task(takes_context=True, timeout=timedelta(minutes=5), max_attempts=3, on_dead="give_up_reading")
def read_document(context: JobContext, document_id: int) -> None:
    """Cut the document into knowledge entries, in place of those that an earlier run has made."""
    document = Document.objects.filter(pk=document_id).first()
    if document is None:
        return
    with context.outside(), default_storage.open(str(document.file)) as content:
        entries = [
            KnowledgeEntry(workspace_id=document.workspace_id, document=document, title=title, body=body)
            for title, body in _cut(document, _text(content, suffix(str(document.file))))
        ]
    if not entries:
        raise Discard(gettext_noop("there is no text in the document"))
    if len(entries) > MAX_ENTRIES:
        raise Discard(gettext_noop("the document is too long"))
    with context.complete():
        document.entries.all().delete()
        KnowledgeEntry.objects.bulk_create(entries, batch_size=500)
        Document.objects.filter(pk=document_id).update(read_at=timezone.now(), problem="")


@task
def give_up_reading(document_id: int) -> None:
    """The job that should have read it is dead."""
    problem = gettext_noop("it could not be read: is it a PDF of text, or a text in UTF-8?")
    Document.objects.filter(pk=document_id, read_at=None).update(problem=problem)


def _text(content: IO[bytes], kind: str) -> str:
    """Raises Discard for what nobody could read, however often it is tried."""
    if kind == ".pdf":
        return "\n\n".join(_pages(content)).replace("\x00", "")
    try:
        return content.read().decode("utf-8-sig").replace("\x00", "")
    except UnicodeDecodeError:
        raise Discard(gettext_noop("the document is not in UTF-8")) from None


def _pages(content: IO[bytes]) -> Iterator[str]:
    from pypdf import PdfReader  # loads what only a worker should pay
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(content)
        if len(reader.pages) > MAX_PAGES:
            raise Discard(gettext_noop("the document is too long"))
        for page in reader.pages:
            yield page.extract_text()
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # A file of strangers breaks a reader in more ways than it has names for.
        raise Discard(f"the PDF cannot be read: {type(error).__name__}") from None


def _cut(document: Document, text: str) -> Iterator[tuple[str, str]]:
    """Title and text of each entry: a section of Markdown, or a part of it, begins a new one."""
    for heading, section in _sections(text, markdown=suffix(str(document.file)) == ".md"):
        parts = split_text(section, LENGTH)
        for number, part in enumerate(parts, start=1):
            title = f"{document.name}: {heading}" if heading else document.name
            yield title[:190] + (f" ({number})" if len(parts) > 1 else ""), part


def _sections(text: str, *, markdown: bool) -> Iterator[tuple[str, str]]:
    """Each heading with what is below it, first what stands before any."""
    headings = list(_HEADING.finditer(text)) if markdown else []
    borders = [*(heading.start() for heading in headings), len(text)]
    yield "", text[: borders[0]]
    for heading, end in zip(headings, borders[1:], strict=True):
        yield heading[1], text[heading.end() : end]
