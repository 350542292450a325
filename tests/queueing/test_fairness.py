"""Tenants take turns: nobody waits behind another's backlog, and a capped one leaves room."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection

from queueing import fairness
from queueing.fairness import Fairness
from queueing.models import Job
from queueing.service import QueueService
from tests.probe.tasks import nothing

from .conftest import Claim

pytestmark = pytest.mark.django_db


def enqueue(tenant: str, count: int, **options: object) -> None:
    QueueService.enqueue_many([(nothing.using(fairness_key=tenant, **options), {})] * count)


def tenants(jobs: list[Job]) -> dict[str, int]:
    return dict(Counter(job.fairness_key for job in jobs))


def test_a_tenant_does_not_wait_behind_the_backlog_of_another(take: Claim) -> None:
    enqueue("noisy", 50)
    enqueue("quiet", 2)
    enqueue("", 1)
    assert tenants(take(limit=6)) == {"noisy": 2, "quiet": 2, "": 1}
    assert tenants(take(limit=6)) == {"noisy": 6}


def test_a_lone_tenant_gets_everything(take: Claim) -> None:
    enqueue("only", 10)
    assert len(take(limit=8)) == 8


def test_what_is_urgent_comes_first_whoever_it_belongs_to(take: Claim) -> None:
    enqueue("a", 5)
    enqueue("b", 1, priority=10)
    enqueue("b", 5)
    first = take(limit=2)
    assert (first[0].fairness_key, first[0].priority) == ("b", 10)
    assert tenants(take(limit=2)) == {"a": 1, "b": 1}


def test_a_tenant_at_its_cap_leaves_the_rest_to_others(take: Claim) -> None:
    enqueue("noisy", 50, priority=100)
    enqueue("quiet", 3)
    capped = {"fairness": Fairness(cap=4), "running": Counter({"noisy": 3})}
    assert tenants(take(limit=8, **capped)) == {"noisy": 1}  # it is urgent: the others come in the next turn
    assert tenants(take(limit=8, fairness=Fairness(cap=4), running=Counter({"noisy": 4}))) == {"quiet": 3}


def test_the_one_that_runs_least_comes_first(take: Claim) -> None:
    enqueue("busy", 5)
    enqueue("calm", 5)
    assert tenants(take(limit=1, running=Counter({"busy": 3}))) == {"calm": 1}


def test_more_tenants_than_one_look_names_are_all_served(take: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairness, "_TENANTS", fairness._TENANTS.replace("number < 50", "number < 2"))
    monkeypatch.setattr(fairness, "MAX_TENANTS", 2)
    for tenant in "abcde":
        enqueue(tenant, 2)
    memory = Fairness()
    served = [tenants(take(limit=2, fairness=memory)) for _ in range(4)]
    assert {tenant for turn in served for tenant in turn} == set("abcde")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the plan is PostgreSQL's")
def test_a_backlog_is_not_read_by_a_planner_that_knows_nothing_of_it() -> None:
    enqueue("noisy", 2000)  # in the test's transaction: nothing has counted them
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {fairness._TENANTS}", ["default", "", "default", "default"])
        nodes = [cursor.fetchone()[0][0]["Plan"]]
    read = 0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        read = max(read, node["Actual Rows"])
    assert 1 <= read <= 3
