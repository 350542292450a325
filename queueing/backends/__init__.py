"""The backends by the scheme of `QUEUE_URL`."""

from __future__ import annotations

from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils.module_loading import import_string

from .base import Backend

__all__ = ["SCHEMES", "Backend", "get_backend"]

SCHEMES = {
    "database": "queueing.backends.database.DatabaseBackend",
    "redis": "queueing.backends.redis.RedisBackend",
    "rediss": "queueing.backends.redis.RedisBackend",
    "sqs": "queueing.backends.sqs.SqsBackend",
    "immediate": "queueing.backends.immediate.ImmediateBackend",
}
#: where the database itself can ring
BY_VENDOR = {("database", "postgresql"): "queueing.backends.postgresql.PostgreSQLBackend"}


@cache
def _backend(url: str) -> Backend:
    parts = urlsplit(url)
    schemes: dict[str, str] = SCHEMES | getattr(settings, "QUEUE_BACKENDS", {})
    if parts.scheme not in schemes:
        raise ImproperlyConfigured(f"QUEUE_URL starts with {parts.scheme!r}; it must be one of {', '.join(schemes)}")
    path = BY_VENDOR.get((parts.scheme, connection.vendor), schemes[parts.scheme])
    backend: Backend = import_string(path)(parts)
    return backend


def get_backend() -> Backend:
    """The backend that `settings.QUEUE_URL` names: ours, or one of `QUEUE_BACKENDS` (classes by scheme).

    Raises ImproperlyConfigured for an unknown scheme.
    """
    return _backend(settings.QUEUE_URL)
