"""Refuses settings that would lose messages or let strangers in. What concerns one app alone is checked by that app."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from . import tracing

MIN_SECRET_KEY_LENGTH = 50  # what Django's own `check --deploy` asks for
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "glusterfs", "fuse.sshfs"}

Apps = Sequence[AppConfig] | None


def is_public() -> bool:
    """Whether the world is told to call us: `PUBLIC_BASE_URL` is set, and is not a loopback address."""
    host = urlsplit(settings.PUBLIC_BASE_URL).hostname
    if host is None or host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


@register(Tags.security)
def check_exposure(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What is harmless on one's own machine and is not where strangers can reach it."""
    return list(_exposure()) if is_public() else []


def _exposure() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error(
            "DEBUG is on while PUBLIC_BASE_URL is public: error pages would show settings and messages to strangers.",
            hint="Unset DEBUG.",
            id="project.E001",
        )
    if len(settings.SECRET_KEY) < MIN_SECRET_KEY_LENGTH or len(set(settings.SECRET_KEY)) < 5:
        yield Error(
            "SECRET_KEY can be guessed: sessions and the tokens in the database hang on it.",
            hint=f"Use {MIN_SECRET_KEY_LENGTH} random characters; the earlier key goes to SECRET_KEY_FALLBACKS.",
            id="project.E002",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS is '*': anyone may choose the host that links are made with.",
            hint="List the host names; that of PUBLIC_BASE_URL is in the default.",
            id="project.E003",
        )


@register("timing")
def check_timing(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Times that contradict each other: one of the two would never come to pass."""
    return list(_timing())


def _timing() -> Iterator[CheckMessage]:
    if not 0 <= settings.REPLY_DEBOUNCE_SECONDS <= settings.REPLY_DEBOUNCE_MAX_SECONDS:
        yield Error("REPLY_DEBOUNCE_SECONDS must lie between 0 and REPLY_DEBOUNCE_MAX_SECONDS.", id="project.E004")
    if not 0 < settings.CONVERSATION_IDLE_MINUTES < settings.CONVERSATION_EXPIRY_MINUTES:
        yield Error("CONVERSATION_IDLE_MINUTES must lie between 0 and CONVERSATION_EXPIRY_MINUTES.", id="project.E005")
    if settings.CONVERSATION_PENDING_EXPIRY_MINUTES <= 0:
        yield Error("CONVERSATION_PENDING_EXPIRY_MINUTES must be more than 0.", id="project.E006")
    if settings.AI_TIMEOUT_SECONDS <= 0:
        yield Error("AI_TIMEOUT_SECONDS must be more than 0.", id="project.E007")


@register("sqlite")
def check_sqlite(app_configs: Apps, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite keeps what it was given only in the right mode, on a disk of this machine.

    Not tagged as a database check: opening a file costs nothing, and those do not run when a command starts.
    """
    if connection.vendor != "sqlite":
        return []
    try:
        return [*_sqlite_modes(), *_sqlite_place(), *(_sqlite_build(sqlite3.sqlite_version_info) if databases else [])]
    except DatabaseError as error:
        return [Error(f"The database cannot be opened: {error}.", id="project.E008")]


def _sqlite_modes() -> Iterator[CheckMessage]:
    with connection.cursor() as cursor:
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            found = cursor.execute(f"PRAGMA {pragma}").fetchone()[0]
            if found != wanted:
                yield Error(f"SQLite runs with {pragma}={found}; it must be {wanted}.", id="project.E009")
    if settings.DATABASES["default"]["OPTIONS"].get("transaction_mode") != "IMMEDIATE":
        yield Error("SQLite's transaction_mode must be IMMEDIATE; others fail among writers.", id="project.E010")


def _sqlite_place() -> Iterator[CheckMessage]:
    kind = file_system_of(Path(str(settings.DATABASES["default"]["NAME"])).resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        yield Error(
            f"The SQLite file lies on a network file system ({kind}), where its locks do not hold.",
            hint="Put it on a local disk, or use PostgreSQL.",
            id="project.E011",
        )


def _sqlite_build(version: tuple[int, ...]) -> Iterator[CheckMessage]:
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    if not mended:
        yield Warning(
            f"SQLite {'.'.join(map(str, version))} has the WAL-reset defect, unless your distribution has mended it: "
            "in rare cases a checkpoint beside a writer damages the file.",
            hint="Use SQLite 3.51.3 or later, or PostgreSQL; and keep backups.",
            id="project.W001",
        )


@register("tracing")
def check_tracing(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Where a collector is named, there is something to send it."""
    if tracing.is_wanted() and not tracing.is_installed():
        return [
            Error(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry's SDK is not installed.",
                hint="pip install -r requirements-tracing.txt, or unset it.",
                id="project.E012",
            )
        ]
    return []


def file_system_of(path: Path) -> str:
    """The type of the file system that `path` lies on, by Linux's mount table; empty where there is none."""
    table = Path("/proc/self/mounts")
    if not table.exists():
        return ""
    mounts = [line.split() for line in table.read_text().splitlines()]
    kinds = {Path(fields[1].replace("\\040", " ")): fields[2] for fields in mounts}
    return next((kinds[parent] for parent in (path, *path.parents) if parent in kinds), "")
