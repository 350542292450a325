"""A server that speaks OpenAI's transcription endpoint, as OpenAI and the servers of faster-whisper do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from .site import Page, Site, answer, in_turn, site

PATH = "/v1/audio/transcriptions"


def heard(text: str) -> Page:
    """The server has understood `text`."""
    return answer(json.dumps({"text": text}).encode(), Content_Type="application/json")


@contextmanager
def transcription_server(*pages: Page) -> Iterator[Site]:
    """Answers with the pages in turn, the last one over and over. Its base URL is `url + "/v1"`."""
    with site({PATH: in_turn(*pages)}) as server:
        yield server
