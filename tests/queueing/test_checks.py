"""A task that could leave its dead jobs without a word is refused before it runs."""

from __future__ import annotations

import pytest

from queueing import registry
from queueing.checks import check_tasks
from queueing.tasks import task


@pytest.fixture(autouse=True)
def _own_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))


def declare(on_dead: str) -> None:
    @task(on_dead=on_dead)
    def dies(word: str, number: int = 0) -> None: ...


def test_the_declared_tasks_are_fine() -> None:
    assert check_tasks(None) == []


def test_a_name_that_nobody_declares_is_refused() -> None:
    declare(on_dead="burry")
    [error] = check_tasks(None)
    assert (error.id, "no task is named 'burry'" in error.msg) == ("queueing.E006", True)


def test_one_that_wants_what_a_job_may_not_have_is_refused() -> None:
    @task
    def remember(word: str, number: int) -> None: ...

    declare(on_dead="remember")
    [error] = check_tasks(None)
    assert "wants number" in error.msg


def test_one_that_wants_less_is_fine() -> None:
    declare(on_dead="bury")
    assert check_tasks(None) == []
