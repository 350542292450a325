"""The screens on which operators steer: queues are paused and resumed, schedules are changed or switched off."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from .clock import database_now
from .display import NOTHING, label, moment
from .models import Queue, Schedule
from .pause import pause, resume
from .periodic import declared_cadences
from .read_only import ReadOnlyAdmin
from .scheduler import cadence_of


class PauseForm(BaseDialogForm):
    reason = forms.CharField(
        label=_("Reason"), max_length=300, required=False, widget=UnfoldAdminTextInputWidget,
        help_text=_("for those who wonder why nothing happens"),
    )  # fmt: skip


@admin.register(Queue)
class QueueAdmin(ReadOnlyAdmin):
    list_display = ("name", "stands", "paused", "paused_by", "reason")
    sortable_by = ()
    actions_detail = ("pause_queue", "resume_queue")

    def has_operate_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Who may pause and resume."""
        return request.user.has_perm("queueing.change_queue")

    @admin.display(description=_("status"))
    def stands(self, queue: Queue) -> str:
        return label(gettext("paused"), "warning") if queue.paused_at else label(gettext("open"), "success")

    @admin.display(description=_("paused at"))
    def paused(self, queue: Queue) -> str:
        return moment(queue.paused_at)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[UnfoldAction]:
        """Only what makes sense for this queue now."""
        queue = self.get_object(request, object_id)
        offered = "resume_queue" if queue and queue.paused_at else "pause_queue"
        return [detail for detail in super().get_actions_detail(request, object_id) if detail.path == offered]

    @action(
        description=_("Pause"),
        permissions=["operate"],
        icon="pause",
        variant=ActionVariant.DANGER,
        dialog={
            "title": _("Pause this queue?"),
            "description": _("None of its jobs starts until it is resumed. What runs goes on; what comes waits."),
            "form_class": PauseForm,
            "form_submit_text": _("Yes, pause it"),
        },
    )
    def pause_queue(self, request: HttpRequest, form: PauseForm, object_id: str) -> HttpResponse:
        by, reason = request.user.get_username(), form.cleaned_data["reason"]
        pause(object_id, by=by, now=database_now(), reason=reason)
        return self._done(request, object_id, _("The queue is paused."))

    @action(
        description=_("Resume"),
        permissions=["operate"],
        icon="play_arrow",
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Resume this queue?"),
            "description": _("Its jobs start again, those first that would have been first."),
            "form_class": None,
            "form_submit_text": _("Yes, resume it"),
        },
    )
    def resume_queue(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        resume(object_id)
        return self._done(request, object_id, _("The queue goes on."))

    def _done(self, request: HttpRequest, name: str, text: Any) -> HttpResponse:
        self.message_user(request, text, messages.SUCCESS)
        self.log_change(request, Queue.objects.get(name=name), str(text))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:queueing_queue_change", args=[name])})


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    """What is left empty is as the code declares it. The scheduler sees a change within seconds."""

    list_display = ("task", "cadence", "enabled", "last", "next")
    sortable_by = ()
    fields = ("task", "declared", "enabled", "interval", "cron", "time_zone", "last", "next")
    readonly_fields = ("task", "declared", "last", "next")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Only what the code does not declare any more: a declared one would come back."""
        gone = obj is not None and obj.task not in declared_cadences()
        return gone and bool(super().has_delete_permission(request, obj))

    @admin.display(description=_("cadence"))
    def cadence(self, schedule: Schedule) -> str:
        declared = declared_cadences().get(schedule.task)
        return str(cadence_of(schedule, declared)) if declared else gettext("not declared any more")

    @admin.display(description=_("declared as"))
    def declared(self, schedule: Schedule) -> str:
        return str(declared_cadences().get(schedule.task, NOTHING))

    @admin.display(description=_("last point"))
    def last(self, schedule: Schedule) -> str:
        return moment(schedule.last_point)

    @admin.display(description=_("next point"))
    def next(self, schedule: Schedule) -> str:
        return moment(schedule.next_point)
