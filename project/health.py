"""Two questions of whoever runs us: does the process live, and may it be given work?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from channels_twilio.checks import check_tokens
from queueing.clock import database_now
from queueing.errors import BackendUnavailable
from queueing.service import QueueService
from queueing.stats import living_workers

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. It asks nothing else: restarting it would not bring back a database."""
    return JsonResponse({"alive": True})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Everything that a webhook needs is there: 200, or 503 with what is wrong, within 3 s.

    Workers are told, not asked for: a web process that stored a message has done its part, and the job waits.
    Errors are named by their class alone, for a stranger may read this; the log has the rest.
    """
    report: dict[str, object] = {}
    for name, check in (
        ("database", _database),
        ("migrations", _migrations),
        ("tokens", _tokens),
        ("queue", QueueService.check),
    ):
        report[name] = _outcome(name, check)
        if report[name] != "ok":
            return JsonResponse({"ready": False, **report}, status=503)  # what stands on it need not be asked
    return JsonResponse({"ready": True, **report, "workers": len(living_workers(database_now()))})


class NotReady(Exception):
    """Something is missing that no error tells of; the text says what, and what to do."""


def _outcome(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except (DatabaseError, BackendUnavailable, NotReady) as error:
        logger.warning("not ready: %s: %s", name, error)
        return f"{type(error).__name__}: {error}" if isinstance(error, NotReady) else type(error).__name__
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise NotReady(f"{len(missing)} to apply, from {missing[0][0]}; run manage.py setup")


def _tokens() -> None:
    if any(message.is_serious() for message in check_tokens()):
        raise NotReady("SECRET_KEY opens no Twilio account's token; manage.py check --database default")
