"""One at a time: what two deployments of the same installation must not do at once."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

SETUP_LOCK = 0x5265636164  # any number that nobody else takes for an advisory lock


@contextmanager
def exclusively() -> Iterator[None]:
    """Wait until no other setup of this database runs: by the database where it can lock, else by a file beside it.

    Both locks go with their process, so a killed setup blocks nobody.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [SETUP_LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [SETUP_LOCK])
    else:
        with open(f"{settings.DATABASES['default']['NAME']}.setup-lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
