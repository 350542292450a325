"""Refuses to run with a queue that would lose jobs, or run them in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from .backends import get_backend
from .errors import UnknownTask
from .registry import all_tasks, get_task
from .tasks import Task

MIN_LEASE_SECONDS = 5  # below that, one slow commit or a busy machine loses leases of workers that live


@register("queue")
def check_backend(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """`QUEUE_URL` names a backend, and one that leaves the work to a worker."""
    try:
        backend = get_backend()
    except ImproperlyConfigured as error:
        return [Error(f"{error}.", id="queueing.E001")]
    if not backend.runs_in_worker:
        return [
            Error(
                "QUEUE_URL names the backend that runs jobs in the process that enqueues them. It is for tests only.",
                hint="Use database://, redis://… or sqs://…",
                id="queueing.E002",
            )
        ]
    return []


@register("queue")
def check_tasks(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What a task names for its dead jobs is declared, and can be called with the payload of any of them."""
    return [
        Error(f"The task {task.name} names {task.on_dead} for its dead jobs, and {wrong}.", id="queueing.E006")
        for task in all_tasks()
        if task.on_dead and (wrong := _wrong_heir(task))
    ]


def _wrong_heir(task: Task) -> str:
    try:
        heir = get_task(task.on_dead)
    except UnknownTask as error:
        return str(error)
    always = {name for name, parameter in task.parameters.items() if parameter.default is parameter.empty}
    wanted = {name for name, parameter in heir.parameters.items() if parameter.default is parameter.empty}
    return f"that wants {', '.join(sorted(wanted - always))}, which they may not have" if wanted - always else ""


@register("queue")
def check_timing(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Times under which the queue can keep its promises."""
    return list(_timing())


def _timing() -> Iterator[CheckMessage]:
    if settings.QUEUE_LEASE_SECONDS < MIN_LEASE_SECONDS:
        yield Error(f"QUEUE_LEASE_SECONDS must be {MIN_LEASE_SECONDS} or more.", id="queueing.E003")
    if settings.QUEUE_DRAIN_SECONDS < 0:
        yield Error("QUEUE_DRAIN_SECONDS must be 0 or more.", id="queueing.E004")
    if settings.SCHEDULER_INTERVAL_SECONDS < 1:
        yield Error("SCHEDULER_INTERVAL_SECONDS must be 1 or more.", id="queueing.E005")
    for name in ("QUEUE_KEEP_SUCCEEDED_DAYS", "QUEUE_KEEP_DEAD_DAYS"):
        if getattr(settings, name) <= 0:
            yield Error(f"{name} must be more than 0.", id="queueing.E007")
