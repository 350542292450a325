"""Other apps' tasks, declared with Django's own `@task`, run on this queue with its guarantees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone
from django_tasks import TaskResult, TaskResultStatus, default_task_backend, task_backends
from django_tasks.exceptions import InvalidTaskError, TaskResultDoesNotExist, TaskResultMismatch
from django_tasks.signals import task_enqueued, task_finished, task_started

from queueing import operate
from queueing.backends.immediate import run_ready_jobs
from queueing.clock import database_now
from queueing.django_tasks import RecadoBackend
from queueing.errors import InvalidPayload
from queueing.models import Job, JobStatus
from queueing.registry import all_queue_names, get_task
from tests.conftest import ROOT
from tests.probe import foreign
from tests.probe.tasks import nothing
from tests.stand_ins.twin import eventually

from .conftest import Start

pytestmark = pytest.mark.django_db(transaction=True)

READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL


def worked(result: TaskResult[Any]) -> TaskResult[Any]:
    """The result after a worker has had its time; no backoff keeps it waiting."""
    run_ready_jobs()
    while Job.objects.filter(pk=result.id, status=JobStatus.SCHEDULED).update(
        status=JobStatus.READY, run_after=database_now()
    ):
        run_ready_jobs()
    result.refresh()
    return result


def test_it_is_the_backend_out_of_the_box_and_says_what_it_can() -> None:
    backend = task_backends["default"]
    assert isinstance(backend, RecadoBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority
    assert list(backend.check()) == []


def test_an_enqueued_task_is_ready_with_its_arguments() -> None:
    result = foreign.add.enqueue(1, two=3)

    assert (result.status, result.is_finished, result.attempts) == (READY, False, 0)
    assert (result.args, result.kwargs, result.backend) == ([1], {"two": 3}, "default")
    assert result.task == foreign.add
    assert result.enqueued_at
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value
    assert default_task_backend.get_result(result.id) == result

    job = Job.objects.get(pk=result.id)
    assert (job.task, job.queue_name, job.status) == ("tests.probe.foreign.add", "default", JobStatus.READY)


def test_what_it_returns_is_kept() -> None:
    result = worked(foreign.add.enqueue(1, two=3))

    assert (result.status, result.return_value, result.errors) == (SUCCESSFUL, 4, [])
    assert result.enqueued_at
    assert result.started_at
    assert result.finished_at
    assert result.enqueued_at <= result.started_at == result.last_attempted_at <= result.finished_at
    assert (result.attempts, len(result.worker_ids)) == (1, 1)
    assert foreign.add.get_result(result.id).return_value == 4


def test_a_coroutine_is_a_task_too_and_everything_can_be_awaited() -> None:
    async def enqueue() -> TaskResult[int]:
        result = await foreign.add_later.aenqueue(20, 22)
        assert (await foreign.add_later.aget_result(result.id)).status == READY
        return result

    result = async_to_sync(enqueue)()
    run_ready_jobs()
    async_to_sync(result.arefresh)()
    assert (result.status, result.return_value) == (SUCCESSFUL, 42)


def test_a_task_may_take_its_context() -> None:
    result = worked(foreign.who.enqueue(greeting="hello"))
    assert result.return_value == {"greeting": "hello", "id": result.id, "attempt": 1}


def test_lane_priority_and_time_are_the_jobs() -> None:
    moment = timezone.now() + timedelta(hours=1)
    foreign.urgent.enqueue()
    later = foreign.add.using(priority=-5, queue_name="maintenance", run_after=moment).enqueue(1)

    urgent, deferred = Job.objects.order_by("pk")
    assert (urgent.queue_name, urgent.priority) == ("maintenance", 10)
    assert (deferred.queue_name, deferred.priority, deferred.run_after) == ("maintenance", -5, moment)
    assert deferred.status == JobStatus.SCHEDULED
    assert later.status == READY
    assert (later.task.run_after, later.task.priority, later.task.queue_name) == (moment, -5, "maintenance")


def test_it_is_enqueued_in_the_transaction_of_its_caller() -> None:
    class Undo(Exception):
        """The caller thinks better of it."""

    def enqueue_and_undo() -> None:
        with transaction.atomic():
            foreign.add.enqueue(1)
            raise Undo

    with pytest.raises(Undo):
        enqueue_and_undo()
    assert not Job.objects.exists()


def test_a_failed_attempt_is_ready_again_with_its_error(journal: Path) -> None:
    result = foreign.fail_until.enqueue("rain")
    run_ready_jobs()
    result.refresh()

    assert (result.status, result.attempts) == (READY, 1)
    [error] = result.errors
    assert error.exception_class is ConnectionError
    assert error.traceback.endswith("ConnectionError: not yet\n")

    worked(result)
    assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, "at last", 2)
    assert result.started_at
    assert result.last_attempted_at
    assert result.started_at < result.last_attempted_at


def test_the_options_of_an_alias_are_those_of_its_tasks() -> None:
    result = worked(foreign.leave.enqueue())
    assert (result.status, result.is_finished, result.attempts) == (FAILED, True, 1)
    assert [error.exception_class for error in result.errors] == [SystemExit]
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


@pytest.mark.parametrize("kind", ["function", "nul", "long", "nan"])
def test_what_cannot_be_stored_is_not_tried_again(kind: str) -> None:
    result = worked(foreign.answer_strangely.enqueue(kind))
    assert (result.status, result.attempts) == (FAILED, 1)
    assert "cannot be stored" in result.errors[0].traceback


def test_a_cancelled_task_has_failed() -> None:
    result = foreign.add.enqueue(1)
    operate.cancel([int(result.id)])
    result.refresh()
    assert (result.status, result.is_finished) == (FAILED, True)


def test_arguments_are_checked_when_they_are_enqueued() -> None:
    with pytest.raises(TypeError, match="Unsupported type"):
        foreign.add.enqueue(object())  # type: ignore[arg-type]
    with pytest.raises(InvalidPayload, match="bytes"):
        foreign.fail_until.enqueue("x" * 70_000)
    with pytest.raises(InvalidTaskError, match="not valid"):
        foreign.add.using(queue_name="nobody serves it")
    assert not Job.objects.exists()


def test_only_results_of_such_tasks_are_found() -> None:
    result = foreign.add.enqueue(1)
    with pytest.raises(TaskResultMismatch):
        foreign.urgent.get_result(result.id)
    for result_id in (str(nothing.enqueue().pk), "123456", "9" * 40, "no number"):
        with pytest.raises(TaskResultDoesNotExist):
            default_task_backend.get_result(result_id)


@pytest.fixture
def signals() -> Iterator[list[tuple[str, TaskResultStatus]]]:
    """The framework's signals, as they came, with the status that they gave."""
    seen: list[tuple[str, TaskResultStatus]] = []
    receivers: dict[str, Callable[..., None]] = {}
    for name, signal in {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}.items():

        def receive(sender: type, task_result: TaskResult[Any], name: str = name, **_: Any) -> None:
            assert sender is RecadoBackend
            seen.append((name, task_result.status))

        receivers[name] = receive
        signal.connect(receive)
    yield seen
    for name, signal in {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}.items():
        signal.disconnect(receivers[name])


def test_the_frameworks_signals_are_sent(signals: list[tuple[str, TaskResultStatus]]) -> None:
    worked(foreign.add.enqueue(1))
    assert signals == [("enqueued", READY), ("started", RUNNING), ("finished", SUCCESSFUL)]


def test_a_task_that_failed_for_good_is_told_of_once(signals: list[tuple[str, TaskResultStatus]]) -> None:
    worked(foreign.answer_strangely.enqueue("nul"))
    assert signals == [("enqueued", READY), ("started", RUNNING), ("finished", FAILED)]


def test_a_lane_for_such_tasks_is_served(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "queueing.django_tasks.RecadoBackend", "QUEUES": ["letters"]}}
    assert "letters" in all_queue_names()


def test_the_worker_imports_what_it_has_not_seen_and_survives_a_kill(start: Start, journal: Path) -> None:
    """The worker process knows neither the module nor its options; the task kills it, and runs again."""
    result = foreign.die_with_its_process.enqueue("first")
    missing = Job.objects.get(pk=foreign.add.enqueue(1).id)
    Job.objects.filter(pk=missing.pk).update(task="tests.probe.gone.add")
    start()

    def finished() -> bool:
        result.refresh()
        return result.is_finished

    eventually(finished, within=30)
    assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, "alive", 2)

    def failed() -> bool:
        return missing.attempts.filter(error_class="ModuleNotFoundError").exists()

    eventually(failed, within=30)


def test_a_task_may_be_declared_before_there_are_models(process_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(
        "from django.apps import AppConfig\nfrom django_tasks import task\n\n"
        "class EarlyConfig(AppConfig):\n    name = 'early'\n    path = '.'\n\n"
        "@task\ndef hello() -> str:\n    return 'hello'\n"
    )
    program = (
        "import tests.settings as s; s.INSTALLED_APPS = ['early.EarlyConfig', *s.INSTALLED_APPS]\n"
        "import django; django.setup()\n"
        "from queueing.registry import get_task\n"
        "print(get_task('early.hello').name)"
    )
    env = process_env | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("early.hello\n", 0), done.stderr


def test_a_known_task_is_listed_by_name() -> None:
    assert get_task("tests.probe.foreign.urgent").queue_name == "maintenance"
