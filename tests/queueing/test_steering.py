"""Operators pause queues and change schedules on screens; who may only look changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from queueing.clock import database_now
from queueing.models import Queue, Schedule
from queueing.pause import pause
from queueing.scheduler import enqueue_due

pytestmark = pytest.mark.django_db

QUEUE, SCHEDULE = "/admin/queueing/queue/default/", "/admin/queueing/schedule/nightly/"


def logged_in(*permissions: str) -> Client:
    """The browser of a member of the staff who may do exactly this."""
    user = User.objects.create_user("ana", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def queue() -> Queue:
    return Queue.objects.create(name="default")


@pytest.fixture
def schedule() -> Schedule:
    enqueue_due(database_now())
    return Schedule.objects.get(task="nightly")


def page(client: Client, path: str) -> str:
    response = client.get(path, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def change(client: Client, **fields: Any) -> str:
    """The page after the form was sent."""
    answer = client.post(
        f"{SCHEDULE}change/", {"enabled": "on", "interval": "", "cron": "", "time_zone": ""} | fields, follow=True
    )
    return answer.content.decode()


def test_a_queue_is_paused_with_a_reason_and_resumed(queue: Queue) -> None:
    operator = logged_in("change_queue")
    assert "Pause this queue?" in page(operator, f"{QUEUE}pause_queue/")
    queue.refresh_from_db()
    assert queue.paused_at is None, "a link that is only followed changes nothing"

    operator.post(f"{QUEUE}pause_queue/", {"_form_submitted": "on", "reason": "<b>maintenance</b>"})
    queue.refresh_from_db()
    assert queue.paused_at
    assert (queue.paused_by, queue.reason) == ("ana", "<b>maintenance</b>")
    for path in (f"{QUEUE}change/", "/admin/queueing/queue/"):
        assert "&lt;b&gt;maintenance" in page(operator, path)
    assert "pause_queue" not in page(operator, f"{QUEUE}change/")

    operator.post(f"{QUEUE}resume_queue/", {"_form_submitted": "on"})
    queue.refresh_from_db()
    assert (queue.paused_at, queue.reason) == (None, "")
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "The queue is paused.",
        "The queue goes on.",
    ]


def test_who_may_only_look_pauses_nothing(queue: Queue) -> None:
    viewer = logged_in("view_queue")
    assert "pause_queue" not in page(viewer, f"{QUEUE}change/")
    assert viewer.post(f"{QUEUE}pause_queue/", {"_form_submitted": "on", "reason": ""}).status_code == 403
    queue.refresh_from_db()
    assert queue.paused_at is None


def test_a_paused_queue_is_shown(queue: Queue) -> None:
    pause("default", by="joão", now=database_now())
    shown = page(logged_in("view_queue"), "/admin/queueing/queue/")
    assert "paused" in shown
    assert "joão" in shown


def test_a_schedule_says_what_is_declared_and_takes_another_cadence(schedule: Schedule) -> None:
    operator = logged_in("change_schedule", "view_schedule")
    assert "30 2 * * * (Europe/Berlin)" in page(operator, f"{SCHEDULE}change/")

    change(operator, cron="15 4 * * mon", time_zone="America/Sao_Paulo")
    schedule.refresh_from_db()
    assert (schedule.cron, schedule.time_zone, schedule.interval) == ("15 4 * * mon", "America/Sao_Paulo", None)
    assert "15 4 * * mon (America/Sao_Paulo)" in page(operator, "/admin/queueing/schedule/")

    change(operator, interval="00:10:00")
    schedule.refresh_from_db()
    assert (schedule.cron, schedule.interval) == ("", timedelta(minutes=10))

    operator.post(f"{SCHEDULE}change/", {"interval": "", "cron": "", "time_zone": ""})
    schedule.refresh_from_db()
    assert (schedule.enabled, schedule.interval) == (False, None)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"cron": "every day"}, "This is not a cron line"),
        ({"time_zone": "Mars/Olympus"}, "There is no such time zone."),
        ({"interval": "0"}, "greater than or equal to"),
        ({"interval": "00:10:00", "cron": "* * * * *"}, "not both"),
    ],
)
def test_a_cadence_that_does_not_exist_is_refused(schedule: Schedule, fields: dict[str, str], complaint: str) -> None:
    assert complaint in change(logged_in("change_schedule", "view_schedule"), **fields)
    schedule.refresh_from_db()
    assert (schedule.cron, schedule.time_zone, schedule.interval) == ("", "", None)


def test_only_a_schedule_that_is_not_declared_any_more_can_be_deleted(schedule: Schedule) -> None:
    Schedule.objects.create(task="gone")
    operator = logged_in("change_schedule", "view_schedule", "delete_schedule")
    assert "not declared any more" in page(operator, "/admin/queueing/schedule/")
    assert operator.post(f"{SCHEDULE}delete/", {"post": "yes"}).status_code == 403
    assert operator.post("/admin/queueing/schedule/gone/delete/", {"post": "yes"}).status_code == 302
    assert set(Schedule.objects.filter(task__in=["nightly", "gone"]).values_list("task", flat=True)) == {"nightly"}
