"""What docs/queue.md shows is run, block by block, and does what it says."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils.module_loading import import_string
from django_tasks import TaskResultStatus

from queueing import operate, periodic, registry
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = (ROOT / "docs" / "queue.md").read_text()


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that the blocks make; what they declare is forgotten afterwards."""
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    monkeypatch.setattr(periodic, "_declared", dict(periodic._declared))
    module = ModuleType("guide")
    monkeypatch.setitem(sys.modules, "guide", module)
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/queue.md", "exec"), vars(module))
    return module


def stands(job: Job) -> str:
    return Job.objects.get(pk=job.pk).status


def test_jobs_are_enqueued_as_shown(guide: Any) -> None:
    assert Job.objects.filter(task="send_invoice", queue_name="maintenance").count() == 6
    assert (guide.later.status, guide.later.priority, guide.later.ordering_key) == ("scheduled", 10, "customer:3")
    run_ready_jobs()
    assert stands(guide.job) == JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("url", "status", "failures"),
    [
        ("ftp://here", JobStatus.DEAD, 1),
        ("https://here/busy", JobStatus.SCHEDULED, 1),
        ("https://here/tonight", JobStatus.SCHEDULED, 0),
        ("https://here/broken", JobStatus.SCHEDULED, 1),
        ("https://here", JobStatus.SUCCEEDED, 0),
    ],
)
def test_what_is_raised_says_what_comes_next(guide: Any, url: str, status: JobStatus, failures: int) -> None:
    job = guide.fetch.enqueue(url=url)
    run_ready_jobs()
    job.refresh_from_db()
    assert (job.status, job.failures) == (status, failures)


def test_a_checkpoint_hears_of_a_cancellation(guide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = guide.index_all.enqueue(pages=["1", "2", "3"])
    pages: list[str] = []

    def read(page: str, *, timeout: float) -> None:
        assert 0 < timeout <= 20
        pages.append(page)
        operate.cancel([job.pk])

    monkeypatch.setattr(guide, "read", read)
    run_ready_jobs()
    assert (pages, stands(job)) == (["1"], JobStatus.CANCELLED)


def test_the_writes_and_the_end_are_one(guide: Any) -> None:
    job = guide.make_group.enqueue(name="editors")
    run_ready_jobs()
    assert stands(job) == JobStatus.SUCCEEDED
    assert Group.objects.filter(name="editors").exists()


def test_schedules_are_declared_as_shown(guide: Any) -> None:
    cadences = periodic.declared_cadences()
    assert str(cadences["nightly_report"]) == "30 2 * * * (America/Sao_Paulo)"
    assert str(cadences["look_for_news"]) == "every 0:15:00"


def test_djangos_tasks_give_results(guide: Any) -> None:
    attempt = guide.say_which.enqueue()
    run_ready_jobs()
    guide.result.refresh()
    attempt.refresh()
    assert (guide.result.status, guide.result.return_value) == (TaskResultStatus.SUCCESSFUL, 42)
    assert attempt.return_value == 1
    options = guide.TASKS["default"]
    backend = import_string(options["BACKEND"])("default", options)
    backend.validate_task(guide.multiply)
    assert backend.options == {"max_attempts": 3, "timeout": timedelta(minutes=1)}
