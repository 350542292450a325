"""What a file is, by its own first bytes: what its sender or a server calls it is not believed."""

from __future__ import annotations

import re

# The kinds that are kept: what WhatsApp and MMS carry, and nothing that a browser would run. The first that fits is it.
_KINDS = (
    ("image/jpeg", ".jpg", rb"\xff\xd8\xff"),
    ("image/png", ".png", rb"\x89PNG\r\n\x1a\n"),
    ("image/gif", ".gif", rb"GIF8[79]a"),
    ("image/webp", ".webp", rb"RIFF.{4}WEBP"),
    ("image/heic", ".heic", rb".{4}ftyp(?:hei[cx]|mif1)"),
    ("audio/ogg", ".ogg", rb"OggS"),
    ("audio/amr", ".amr", rb"#!AMR"),
    ("audio/wav", ".wav", rb"RIFF.{4}WAVE"),
    ("audio/mp4", ".m4a", rb".{4}ftypM4A"),
    ("audio/mpeg", ".mp3", rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"),
    ("audio/aac", ".aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
    ("video/3gpp", ".3gp", rb".{4}ftyp3g"),
    ("video/quicktime", ".mov", rb".{4}ftypqt"),
    ("video/mp4", ".mp4", rb".{4}ftyp"),
    ("video/webm", ".webm", rb"\x1aE\xdf\xa3"),
    ("application/pdf", ".pdf", rb"%PDF-"),
    ("application/zip", ".zip", rb"PK\x03\x04"),  # also the documents of office programs
    ("application/msword", ".doc", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("text/vcard", ".vcf", rb"(?:\xef\xbb\xbf)?BEGIN:VCARD"),
)
KINDS = tuple((content_type, suffix, re.compile(magic, re.DOTALL)) for content_type, suffix, magic in _KINDS)
HEAD = 32  # bytes that tell the kind


def sniff(head: bytes, *, announced: str = "") -> tuple[str, str] | None:
    """The content type of a file that begins so, and the suffix of its name; None for a kind that is not kept.

    Args:
        announced: what the provider says that it is. Believed only in this: a container of films may hold sound alone.
    """
    for content_type, suffix, magic in KINDS:
        if magic.match(head):
            if announced.startswith("audio/"):
                content_type = content_type.replace("video/", "audio/")
            return content_type, suffix
    return None
