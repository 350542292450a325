"""Django's Tasks on this queue: `TASKS = {"default": {"BACKEND": "queueing.django_tasks.RecadoBackend"}}`.

The tasks of any other app, declared with Django's own `@task`, get what every job of this queue gets: they are stored
in the caller's transaction, tried again, and never lost. Django 6 brings the framework; for Django 5 django-tasks does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.apps import apps

if TYPE_CHECKING or django.VERSION < (6,):
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task, TaskResult
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.signals import task_enqueued
else:
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task, TaskResult
    from django.tasks.exceptions import TaskResultDoesNotExist
    from django.tasks.signals import task_enqueued


class RecadoBackend(BaseTaskBackend):
    """`OPTIONS` are those of this queue's own `@task`, for all tasks of this alias: `max_attempts`, `timeout` …"""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Task[..., Any]) -> None:
        """Called when a task is declared: the worker and the screens know it from then on."""
        super().validate_task(task)
        if apps.models_ready:  # packages may declare tasks while apps are being loaded: see `registry.get_task`
            from .django_jobs import declare

            declare(task, self.options)

    def enqueue(self, task: Task[..., Any], args: Any, kwargs: Any) -> TaskResult[Any]:
        """Store the job in the caller's transaction; it is rung for after the commit.

        Raises InvalidPayload, and stores nothing, for arguments that are not JSON or too large.
        """
        from .django_jobs import enqueue, result_of

        self.validate_task(task)
        result = result_of(enqueue(task, args, kwargs))
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """How that job stands now. Raises TaskResultDoesNotExist, also for a job that is not one of Django's tasks."""
        from .django_jobs import find_job, result_of

        job = find_job(result_id)
        if job is None:
            raise TaskResultDoesNotExist(result_id)
        return result_of(job)
