"""The jobs of Django's tasks: how such a task is declared to this queue, enqueued, run, and told about.

A job's task is the path of the function, as `app.tasks.send_invoice`; its payload are the arguments and the alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import django
from django.utils.module_loading import import_string

from .context import JobContext
from .current import current_job
from .errors import Discard, InvalidPayload
from .models import Attempt, AttemptOutcome, Job, JobStatus
from .registry import get_task, is_declared, register, register_finder
from .service import QueueService, check_json
from .tasks import Task, task

if TYPE_CHECKING or django.VERSION < (6,):
    from django_tasks.base import Task as DjangoTask
    from django_tasks.base import TaskContext, TaskError, TaskResult, TaskResultStatus
    from django_tasks.signals import task_finished, task_started
    from django_tasks.utils import normalize_json
else:
    from django.tasks.base import Task as DjangoTask
    from django.tasks.base import TaskContext, TaskError, TaskResult, TaskResultStatus
    from django.tasks.signals import task_finished, task_started
    from django.utils.json import normalize_json

STATUSES = {
    JobStatus.RUNNING: TaskResultStatus.RUNNING,
    JobStatus.SUCCEEDED: TaskResultStatus.SUCCESSFUL,
    JobStatus.DEAD: TaskResultStatus.FAILED,
    JobStatus.CANCELLED: TaskResultStatus.FAILED,
}  # all others are READY: enqueued, or about to be executed again
FAILURES = (AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT)


def declare(django_task: DjangoTask[..., Any], options: Mapping[str, Any]) -> None:
    """Make one of Django's tasks known to the queue, unless it is known already.

    Args:
        options: those of `@task`.
    """
    if not is_declared(django_task.module_path):
        register(_task(django_task.module_path, **{"queue_name": django_task.queue_name, **options}))


def enqueue(django_task: DjangoTask[..., Any], args: Any, kwargs: Any) -> Job:
    """Store one job. Raises TypeError, ValueError or InvalidPayload for arguments that are no JSON, or too large."""
    called = get_task(django_task.module_path).using(
        queue_name=django_task.queue_name, priority=django_task.priority, run_after=django_task.run_after
    )
    payload = {"args": normalize_json(args), "kwargs": normalize_json(kwargs), "backend": django_task.backend}
    return QueueService.enqueue(called, **payload)


def find_job(result_id: str) -> Job | None:
    """The job with this id, if it is one of Django's tasks."""
    job = Job.objects.filter(pk=result_id).first() if result_id.isdecimal() else None
    return job if job and "." in job.task and get_task(job.task).handler is run else None


def result_of(job: Job) -> TaskResult[Any]:
    """How the job stands, in Django's words. Raises ImportError when its task is not there any more."""
    attempts = list(job.attempts.order_by("number")) if job.attempt else []
    failed = [attempt for attempt in attempts if attempt.outcome in FAILURES]
    running = [job.worker_id] if job.status == JobStatus.RUNNING else []
    result: TaskResult[Any] = TaskResult(
        task=_django_task(job),
        id=str(job.pk),
        status=STATUSES.get(JobStatus(job.status), TaskResultStatus.READY),
        enqueued_at=job.enqueued_at,
        started_at=attempts[0].started_at if attempts else job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=job.started_at,
        args=job.payload["args"],
        kwargs=job.payload["kwargs"],
        backend=job.payload["backend"],
        errors=[_error(attempt) for attempt in failed],
        worker_ids=[attempt.worker_id for attempt in attempts] + running,
    )
    object.__setattr__(result, "_return_value", job.result)  # it is frozen for those who read it
    return result


def run(context: JobContext, args: list[Any], kwargs: dict[str, Any], backend: str) -> None:
    """Call one of Django's tasks. What it returns is stored in the transaction that ends the job."""
    result = result_of(context.job)
    sender = type(result.task.get_backend())
    task_started.send(sender, task_result=result)
    own = [TaskContext(task_result=result)] if result.task.takes_context else []
    value = result.task.call(*own, *args, **kwargs)
    try:
        value = normalize_json(value)
        check_json(value, "what the task returned")
    except (TypeError, ValueError, InvalidPayload) as error:  # it has done its work: to do it again would not help
        raise Discard(f"what it returned cannot be stored: {error}") from error
    row = Job.objects.filter(pk=context.job.pk)
    with context.complete():
        row.update(result=value)
    task_finished.send(sender, task_result=result_of(row.get()))


@task(permanent=(ImportError,))
def tell_of_failure() -> None:
    """Django's signal for a task that has failed for good: its job is dead, and has enqueued this one."""
    job = current_job()
    if job and job.parent:
        result = result_of(job.parent)
        task_finished.send(type(result.task.get_backend()), task_result=result)


def _task(path: str, **options: Any) -> Task:
    return Task(**{"name": path, "handler": run, "takes_context": True, "on_dead": tell_of_failure.name, **options})


def _find_task(name: str) -> Task | None:
    """Stands in for a task whose module this process has not imported. `run` imports it, and fails if it cannot."""
    return _task(name) if "." in name else None


def _django_task(job: Job) -> DjangoTask[..., Any]:
    found = import_string(job.task)
    if not isinstance(found, DjangoTask):
        raise ImportError(f"{job.task} is not a task")
    run_after = job.run_after if job.run_after > job.enqueued_at else None
    return found.using(
        priority=job.priority, queue_name=job.queue_name, run_after=run_after, backend=job.payload["backend"]
    )


def _error(attempt: Attempt) -> TaskError:
    name = attempt.error_class
    return TaskError(exception_class_path=name if "." in name else f"builtins.{name}", traceback=attempt.traceback)


register_finder(_find_task)
