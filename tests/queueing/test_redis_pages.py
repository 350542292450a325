"""django-rq's pages in the admin: for those who may, true of rings and workers, and clear where Redis is away."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings
from redis import Redis

from project.navigation import navigation
from queueing.backends import get_backend
from queueing.backends.rq_rings import Ring
from queueing.backends.rq_worker import RingWorker
from queueing.clock import database_now
from queueing.scheduler import next_points
from tests.probe import tasks as probe
from tests.stand_ins.servers import Valkey

from .test_redis import plant

pytestmark = pytest.mark.django_db(transaction=True)
HOME = "/admin/django_rq/"


@pytest.fixture(autouse=True)
def _addresses(settings: Settings, valkey: Valkey) -> None:
    settings.ROOT_URLCONF = "tests.queueing.redis_urls"
    settings.RQ_PAGES = True


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def reachable(client: Client, *starts: str) -> dict[str, int]:
    """Every page that links lead to from these, with the status it answers."""
    found: dict[str, int] = {}
    waiting = list(starts)
    while waiting:
        address = waiting.pop().partition("?")[0]
        if address in found:
            continue
        response = client.get(address)
        found[address] = response.status_code
        if response["Content-Type"].startswith("text/html"):
            waiting += re.findall(rf"""href\s*=\s*["']({HOME}[^"'#]*)""", response.content.decode())
    return found


def test_they_are_for_staff_with_their_permission(client: Client) -> None:
    assert client.get(HOME).status_code == 302
    member = User.objects.create_user("member", is_staff=True)
    client.force_login(member)
    assert client.get(HOME).status_code == 403
    assert client.get(f"{HOME}stats.json").status_code == 403
    member.user_permissions.add(Permission.objects.get(codename="admin", content_type__app_label="django_rq"))
    assert client.get(HOME).status_code == 200


def test_every_page_opens_and_none_loads_a_pickle(operator: Client, redis: Redis, journal: Path) -> None:
    worker = RingWorker(["default"], name="someone", connection=redis)
    worker.report()
    heard = probe.nothing.enqueue()
    assert worker.hear(1)
    worker.enter()
    waiting = probe.note.enqueue(word="hello")
    get_backend().show_schedule(next_points(database_now()))
    plant(redis, "planted")
    redis.rpush("rq:queue:default", "planted")
    redis.zadd("rq:finished:default", {"planted": time.time() + 60})
    redis.sadd("rq:worker:someone:executions", "planted:1")

    operator.raise_request_exception = False
    pages = reachable(operator, HOME)

    assert pages.pop(f"{HOME}queues/0/planted/") == 500  # django-rq cannot read it, and nobody tries harder
    assert set(pages.values()) == {200}
    assert {f"{HOME}queues/0/{job.pk}/" for job in (heard, waiting)} <= pages.keys()
    assert f"{HOME}workers/0/rq:worker:someone/" in pages
    assert "rq_rings.ring" in operator.get(f"{HOME}queues/0/{waiting.pk}/").content.decode()
    assert "every-process_idle" in operator.get(f"{HOME}schedulers/0/").content.decode()
    assert journal.read_text() == ""


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_without_redis_they_say_so_soon(fault: str, operator: Client, valkey: Valkey) -> None:
    getattr(valkey, fault)()
    started = time.monotonic()
    response = operator.get(HOME)

    assert time.monotonic() - started < 2
    assert response.status_code == 503
    assert f"Redis at 127.0.0.1:{valkey.port} does not answer" in response.content.decode()
    assert "Jobs" in response.content.decode()  # the sidebar is there


def test_the_sidebar_leads_there_only_where_redis_is(operator: Client, settings: Settings) -> None:
    request = operator.get("/admin/").wsgi_request

    def links() -> set[str]:
        return {item["link"] for group in navigation(request) for item in group["items"]}

    assert HOME in links()
    settings.RQ_PAGES = False
    assert HOME not in links()


def test_emptying_a_queue_there_loses_no_job(operator: Client, redis: Redis) -> None:
    job = probe.nothing.enqueue()
    assert operator.post(f"{HOME}queues/0/empty/").status_code == 302
    assert redis.llen("rq:queue:default") == 0
    assert not Ring.exists(str(job.pk), connection=redis)
    job.refresh_from_db()
    assert job.status == "ready"
