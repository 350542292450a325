"""The jobs and the workers, to look at; and the two things that a person may do to a job."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, ngettext_lazy
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from . import operate, steering  # noqa: F401  (it registers the screens of queues and schedules)
from .display import NOTHING, duration, moment
from .filters import QueueFilter, TaskFilter
from .labels import outcome_label, status_label
from .models import UNFINISHED, Job, Worker
from .pagination import CappedPaginator
from .read_only import ReadOnlyAdmin
from .registry import all_tasks

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

MAX_RELATED = 50  # attempts, or children, that one page shows: a job that defers itself may have thousands

RETRIED = ngettext_lazy("%(n)d job runs again.", "%(n)d jobs run again.", "n")
CANCELLED = ngettext_lazy("%(n)d job was cancelled.", "%(n)d jobs were cancelled.", "n")
ASKED = ngettext_lazy("%(n)d running job was asked to stop.", "%(n)d running jobs were asked to stop.", "n")


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Quick with millions of rows: no full count, no far offset, no order but the newest first, no distinct values."""

    list_display = ("name", "stands", "queue_name", "subject", "tries", "enqueued", "due", "took")
    list_filter = ("status", TaskFilter, QueueFilter)
    search_fields = ("id",)  # shows the box; get_search_results() does the search
    search_help_text = _("id, task, subject or correlation id, written out")
    ordering = ("-id",)
    sortable_by = ()
    list_per_page = 50
    list_max_show_all = 0
    list_fullwidth = True
    list_disable_select_all = True
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    actions = ("retry_selected", "cancel_selected")
    actions_detail = ("retry_job", "cancel_job")
    change_form_before_template = "queueing/job.html"

    class Media:
        css = {"all": ("queueing/screens.css",)}

    def has_operate_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Who may retry and cancel. The fields themselves are nobody's to change."""
        return request.user.has_perm("queueing.change_job")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Whole values only, so that an index finds them. The indexes hold no empty values: SQLite wants to be told."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isdecimal():
            return queryset.filter(pk=int(term)), False
        if term in {task.name for task in all_tasks()}:
            return queryset.filter(task=term), False
        subject = Q(subject=term) & ~Q(subject="")
        correlation = Q(correlation_id=term) & ~Q(correlation_id="")
        return queryset.filter(subject | correlation), False

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> list[Any]:
        """None: the template shows them all."""
        return []

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        job = self.get_object(request, object_id) if object_id else None
        if job:
            extra_context = (extra_context or {}) | {
                "attempts": [
                    (attempt, outcome_label(attempt)) for attempt in job.attempts.order_by("-number")[:MAX_RELATED]
                ],
                "status": status_label(job),
                "payload": json.dumps(job.payload, indent=2, ensure_ascii=False, sort_keys=True),
                "children": [(child, status_label(child)) for child in job.children.order_by("pk")[:MAX_RELATED]],
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    # --- Columns ----------------------------------------------------------------------------------------------------

    @admin.display(description=_("job"))
    def name(self, job: Job) -> str:
        return str(job)

    @admin.display(description=_("status"))
    def stands(self, job: Job) -> str:
        return status_label(job)

    @admin.display(description=_("attempts"))
    def tries(self, job: Job) -> str:
        parts = [str(job.attempt)]
        if job.failures:
            parts.append(ngettext("%(n)d failed", "%(n)d failed", job.failures) % {"n": job.failures})
        if job.crashes:
            parts.append(ngettext("%(n)d crash", "%(n)d crashes", job.crashes) % {"n": job.crashes})
        return " · ".join(parts)

    @admin.display(description=_("enqueued"))
    def enqueued(self, job: Job) -> str:
        return moment(job.enqueued_at)

    @admin.display(description=_("run after"))
    def due(self, job: Job) -> str:
        return moment(job.run_after)

    @admin.display(description=_("last attempt took"))
    def took(self, job: Job) -> str:
        return duration(job.finished_at - job.started_at if job.finished_at and job.started_at else None)

    # --- Actions ----------------------------------------------------------------------------------------------------

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[UnfoldAction]:
        """Only what makes sense for this job now."""
        job = self.get_object(request, str(object_id))
        offered = {
            "retry_job": job is not None and job.status in operate.RETRIABLE,
            "cancel_job": job is not None and job.status in UNFINISHED,
        }
        return [detail for detail in super().get_actions_detail(request, object_id) if offered[detail.path]]

    @action(
        description=_("Run again"),
        permissions=["operate"],
        icon="replay",
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Run this job now?"),
            "description": _(
                "A job that was given up starts afresh: its failures are forgotten, and it expires no more."
            ),
            "form_class": None,
            "form_submit_text": _("Yes, run it"),
        },
    )
    def retry_job(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self._tell(request, operate.retry([int(object_id)]), RETRIED)
        return _close_dialog(object_id)

    @action(
        description=_("Cancel"),
        permissions=["operate"],
        icon="cancel",
        variant=ActionVariant.DANGER,
        dialog={
            "title": _("Cancel this job?"),
            "description": _(
                "A waiting job is taken back at once. A running one is asked to stop, and may still finish."
            ),
            "form_class": None,
            "form_submit_text": _("Yes, cancel the job"),
        },
    )
    def cancel_job(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self._tell(request, operate.cancel([int(object_id)]), CANCELLED)
        return _close_dialog(object_id)

    @admin.action(description=_("Run again"), permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._tell(request, operate.retry(_ids(queryset)), RETRIED)

    @admin.action(description=_("Cancel"), permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        if "confirmed" in request.POST:
            self._tell(request, operate.cancel(_ids(queryset)), CANCELLED)
            return None
        context = self.admin_site.each_context(request) | {
            "title": _("Cancel these jobs?"),
            "opts": self.opts,
            "jobs": [(job, status_label(job)) for job in queryset],
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "queueing/confirm_cancel.html", context)

    def _tell(self, request: HttpRequest, report: operate.Report, done: _StrPromise) -> None:
        """Say what was done and what was not, and write it into the admin's own history."""
        for ids, words in ((report.done, done), (report.asked, ASKED)):
            if ids:
                text = words % {"n": len(ids)}
                self.message_user(request, text, messages.SUCCESS)
                for job in Job.objects.filter(pk__in=ids):
                    self.log_change(request, job, text)
        left = sorted(report.skipped.items(), key=itemgetter(1))
        for reason, jobs in groupby(left, key=itemgetter(1)):
            text = _("Left as it was, because %(reason)s: %(jobs)s") % {
                "reason": reason,
                "jobs": ", ".join(f"#{job_id}" for job_id, _reason in jobs),
            }
            self.message_user(request, text, messages.WARNING)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("worker_id", "queues", "load", "memory", "started", "seen")
    ordering = ("-seen_at",)
    sortable_by = ()

    @admin.display(description=_("running"))
    def load(self, worker: Worker) -> str:
        return f"{worker.running} / {worker.threads}"

    @admin.display(description=_("memory"))
    def memory(self, worker: Worker) -> str:
        return f"{worker.memory_mib} MiB" if worker.memory_mib else NOTHING

    @admin.display(description=_("started"))
    def started(self, worker: Worker) -> str:
        return moment(worker.started_at)

    @admin.display(description=_("last heartbeat"))
    def seen(self, worker: Worker) -> str:
        return moment(worker.seen_at)


def _ids(queryset: QuerySet[Job]) -> list[int]:
    return list(queryset.values_list("pk", flat=True))


def _close_dialog(object_id: str) -> HttpResponse:
    """What unfold's dialog, which posts by htmx, takes as the order to load the page anew."""
    return HttpResponse(headers={"HX-Redirect": reverse("admin:queueing_job_change", args=[object_id])})
