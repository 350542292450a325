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
    if parts.scheme not in SCHEMES:
        raise ImproperlyConfigured(f"QUEUE_URL starts with {parts.scheme!r}; it must be one of {', '.join(SCHEMES)}")
    path = BY_VENDOR.get((parts.scheme, connection.vendor), SCHEMES[parts.scheme])
    backend: Backend = import_string(path)(parts)
    return backend


def get_backend() -> Backend:
    """The backend that `settings.QUEUE_URL` names. Raises ImproperlyConfigured for an unknown scheme."""
    return _backend(settings.QUEUE_URL)
