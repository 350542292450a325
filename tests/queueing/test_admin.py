"""The screens of the queue: who may see and do what, that nothing stored is HTML, and that long lists stay quick."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from queueing.admin import JobAdmin
from queueing.models import FINISHED, Attempt, AttemptOutcome, Job, JobStatus, Worker
from queueing.pagination import CappedPaginator

pytestmark = pytest.mark.django_db

NOW = timezone.now()
JOBS = "/admin/queueing/job/"


def stored(status: JobStatus = JobStatus.DEAD, **fields: Any) -> Job:
    finished_at = NOW if status in FINISHED else None
    return Job.objects.create(
        task=fields.pop("task", "deliver_message"),
        status=status,
        **{"run_after": NOW, "enqueued_at": NOW, "finished_at": finished_at} | fields,
    )


def logged_in(*permissions: str) -> Client:
    """The browser of a member of the staff who may do exactly this."""
    user = User.objects.create_user(f"may {permissions}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer() -> Client:
    return logged_in("view_job", "view_worker")


@pytest.fixture
def operator() -> Client:
    return logged_in("change_job")


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def test_without_a_permission_nothing_is_shown() -> None:
    assert logged_in().get(JOBS).status_code == 403


def test_who_may_only_look_is_offered_nothing_to_do(viewer: Client) -> None:
    job = stored()

    assert "Run again" not in page(viewer, f"{JOBS}{job.pk}/change/")
    assert "retry_selected" not in page(viewer, JOBS)
    assert viewer.post(f"{JOBS}{job.pk}/retry_job/", {"_form_submitted": "on"}).status_code == 403
    viewer.post(JOBS, {"action": "retry_selected", "_selected_action": [job.pk]})

    job.refresh_from_db()
    assert job.status == JobStatus.DEAD


def test_nobody_writes_a_job_by_hand(admin_client: Client) -> None:
    job = stored()

    assert admin_client.get(f"{JOBS}add/").status_code == 403
    assert admin_client.post(f"{JOBS}{job.pk}/change/", {"status": "succeeded"}).status_code == 403
    assert admin_client.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_retry_asks_first_and_is_written_into_the_history(operator: Client) -> None:
    job = stored()
    url = f"{JOBS}{job.pk}/retry_job/"

    assert "Run this job now?" in page(operator, url)
    job.refresh_from_db()
    assert job.status == JobStatus.DEAD, "a link that is only followed changes nothing"

    answer = operator.post(url, {"_form_submitted": "on"})
    job.refresh_from_db()
    assert job.status == JobStatus.READY
    assert "1 job runs again." in page(operator, answer["HX-Redirect"])
    assert LogEntry.objects.get(object_id=str(job.pk)).change_message == "1 job runs again."


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        (JobStatus.DEAD, {"Run again"}),
        (JobStatus.CANCELLED, {"Run again"}),
        (JobStatus.SCHEDULED, {"Run again", "Cancel"}),
        (JobStatus.BLOCKED, {"Cancel"}),
        (JobStatus.RUNNING, {"Cancel"}),
        (JobStatus.SUCCEEDED, set()),
    ],
)
def test_a_job_is_offered_what_makes_sense_for_it(operator: Client, status: JobStatus, offered: set[str]) -> None:
    actions = operator.get(f"{JOBS}{stored(status).pk}/change/").context["actions_detail"]

    assert {str(action["title"]) for action in actions} == offered


def test_many_jobs_are_cancelled_after_a_confirmation(operator: Client) -> None:
    waiting, ended = stored(JobStatus.SCHEDULED), stored(JobStatus.SUCCEEDED)
    chosen = {"action": "cancel_selected", "_selected_action": [waiting.pk, ended.pk]}

    assert "Cancel these jobs?" in operator.post(JOBS, chosen).content.decode()
    waiting.refresh_from_db()
    assert waiting.status == JobStatus.SCHEDULED

    answer = operator.post(JOBS, chosen | {"confirmed": "yes"}, follow=True).content.decode()
    waiting.refresh_from_db()
    assert waiting.status == JobStatus.CANCELLED
    assert "1 job was cancelled." in answer
    assert f"because it has ended: #{ended.pk}" in answer


def test_many_jobs_are_run_again(operator: Client) -> None:
    jobs = [stored(), stored()]

    answer = operator.post(
        JOBS, {"action": "retry_selected", "_selected_action": [job.pk for job in jobs]}, follow=True
    )

    assert "2 jobs run again." in answer.content.decode()
    assert Job.objects.filter(status=JobStatus.READY).count() == 2


def test_a_job_shows_its_attempts_and_relatives_and_takes_nothing_for_html(viewer: Client) -> None:
    evil = "</pre><script>alert(1)</script>"
    parent = stored(JobStatus.SUCCEEDED, task="process_ai_response")
    job = stored(parent=parent, payload={"note": evil}, reason=evil, subject=evil)
    child = stored(parent=job)
    Attempt.objects.create(
        job=job, number=1, worker_id="host-1", due_at=NOW, started_at=NOW, finished_at=NOW + timedelta(seconds=2.5),
        outcome=AttemptOutcome.FAILED, error_class="ConnectError", message=evil, traceback=f"Traceback {evil}",
    )  # fmt: skip

    html = page(viewer, f"{JOBS}{job.pk}/change/")

    assert evil not in html
    assert html.count("&lt;script&gt;alert(1)") >= 5
    for shown in ("ConnectError", "2.5 s", "host-1", "Traceback"):
        assert shown in html
    for relative in (parent, child):
        assert f'href="{JOBS}{relative.pk}/change/"' in html


@pytest.mark.parametrize("term", ["process_ai_response", "conversation:42", "c0ffee"])
def test_a_search_finds_by_whole_values(viewer: Client, term: str) -> None:
    found = stored(task="process_ai_response", subject="conversation:42", correlation_id="c0ffee")
    stored(subject="conversation:421", correlation_id="c0ffee2")

    for term_or_id in (term, str(found.pk)):
        assert list(viewer.get(JOBS, {"q": term_or_id}).context["cl"].result_list) == [found]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
def test_a_search_reads_the_indexes_and_not_the_table(viewer: Client) -> None:
    found = viewer.get(JOBS, {"q": "conversation:42"}).context["cl"].queryset

    plan = found.explain()

    assert "job_by_subject" in plan
    assert "job_by_correlation" in plan
    assert "SCAN" not in plan


def test_the_filters_offer_what_is_declared_and_filter(viewer: Client) -> None:
    wanted = stored(JobStatus.SUCCEEDED, task="process_idle", queue_name="maintenance")
    stored()

    html = page(viewer, JOBS)
    assert "?task=process_idle" in html
    assert "?queue=maintenance" in html
    for choice in ({"task": "process_idle"}, {"queue": "maintenance"}, {"status__exact": "succeeded"}):
        assert list(viewer.get(JOBS, choice).context["cl"].result_list) == [wanted]


def test_the_list_counts_no_further_than_its_cap(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 3)
    monkeypatch.setattr(JobAdmin, "list_per_page", 2)
    jobs = [stored() for _ in range(5)]

    with CaptureQueriesContext(connection) as queries:
        response = viewer.get(JOBS)
        counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]

    assert counts
    assert all("LIMIT 4" in sql for sql in counts)
    assert list(response.context["cl"].result_list) == [jobs[4], jobs[3]]
    assert "the newest 3" in response.content.decode()
    assert list(viewer.get(JOBS, {"p": 2}).context["cl"].result_list) == [jobs[2]]


def test_the_workers_that_live_are_shown(viewer: Client) -> None:
    Worker.objects.create(
        worker_id="host-4711-abcdef12", queues="default", threads=16, running=3, memory_mib=84,
        started_at=NOW, seen_at=NOW,
    )  # fmt: skip

    html = page(viewer, "/admin/queueing/worker/")

    for shown in ("host-4711-abcdef12", "3 / 16", "84 MiB"):
        assert shown in html
