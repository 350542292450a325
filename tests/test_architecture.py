"""The rules that hold the design together: one way of imports, one door of the queue, one place where work is done."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from conversations.responder import process_ai_response
from queueing import scheduler
from queueing.service import QueueService

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("project", "conversations", "channels_twilio", "queueing")

CONCURRENCY = {"threading", "_thread", "concurrent", "multiprocessing", "asyncio", "sched", "gevent", "eventlet"}
LOCKS = {"Lock", "RLock", "local"}
MAY_RUN_CONCURRENTLY = {
    "queueing/worker.py",  # runs the jobs
    "queueing/supervisor.py",  # renews their leases
    "queueing/parent.py",  # is the worker's process
    "queueing/backends/sqs.py",  # waits in the worker's process for each lane's rings
    "queueing/event_loop.py",  # carries the worker's calls to clients that are asynchronous
}


def product_files() -> Iterator[tuple[str, ast.Module]]:
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "/migrations/" not in name:
                yield name, ast.parse(path.read_text())


def runs_concurrently(tree: ast.Module) -> bool:
    """Whether more than locks is used of the modules that start something beside the caller."""
    used = {module for module in imports(tree) if module.split(".")[0] in CONCURRENCY - {"threading"}}
    used |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "threading" and node.attr not in LOCKS
    }
    used |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "threading"
        for alias in node.names
        if alias.name not in LOCKS
    }
    return bool(used)


def imports(tree: ast.Module) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module or "")
    return modules


def test_imports_run_one_way_and_the_scheduler_cannot_execute() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_conversations_knows_no_provider() -> None:
    files = [path for path in (ROOT / "conversations").rglob("*") if path.suffix in {".py", ".html", ".css", ".po"}]
    offenders = [
        path.name
        for path in files
        if re.search(r"twilio|(message|account|content|service)_?sid\b", path.read_text(), re.I)
    ]
    assert offenders == []


def test_nothing_outside_the_worker_starts_a_thread_an_executor_a_timer_or_an_asyncio_task() -> None:
    offenders = [
        name
        for name, tree in product_files()
        if name not in MAY_RUN_CONCURRENTLY
        and not name.startswith("channels_twilio/sandbox/")  # the twin stands for the outside world: its own process
        and runs_concurrently(tree)
    ]
    assert offenders == []


def test_only_the_queue_service_makes_jobs() -> None:
    makers = set()
    for name, tree in product_files():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in {"Job", "Job.objects.create", "Job.objects.bulk_create", "Job.objects.get_or_create"}:
                    makers.add(name)
    assert makers == {"queueing/service.py"}


@pytest.mark.django_db
def test_the_task_and_the_scheduler_enqueue_through_the_queue_service(monkeypatch: pytest.MonkeyPatch) -> None:
    class Door(Exception):
        """Someone came through it."""

    def knock(calls: object) -> None:
        raise Door

    scheduler.enqueue_due(timezone.now() - timedelta(days=1))
    monkeypatch.setattr(QueueService, "enqueue_many", staticmethod(knock))
    with pytest.raises(Door):
        process_ai_response.enqueue(conversation_id=1)
    with pytest.raises(Door):
        scheduler.enqueue_due(timezone.now())


def test_the_backend_that_runs_jobs_at_once_is_refused_outside_tests(process_env: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=process_env | {"QUEUE_URL": "immediate://"},
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "queueing.E002" in result.stderr


def test_broad_excepts_stand_only_where_a_job_or_its_process_ends() -> None:
    catchers = {
        name
        for name, tree in product_files()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
    }
    in_product = {name for name in catchers if not name.startswith("channels_twilio/sandbox/")}
    assert in_product == {"queueing/perform.py", "queueing/parent.py"}
