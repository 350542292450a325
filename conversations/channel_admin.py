"""Our addresses, with what keeps one from sending, and the approved texts that may leave when free text may not."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from queueing.display import NOTHING, label, moment

from . import pausing
from .models import ChannelAccount, Template
from .templating import placeholders


@admin.register(ChannelAccount)
class ChannelAccountAdmin(ModelAdmin):
    list_display = ("__str__", "name", "channel", "workspace", "sends")
    list_filter = ("channel", "medium", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("address", "name")
    fields = (
        ("workspace", "channel"),
        ("medium", "address"),
        ("name", "messages_per_second"),
        "assistant",
        ("sends", "paused_since", "paused_because"),
    )
    readonly_fields = ("sends", "paused_since", "paused_because")
    actions_detail = ("resume",)

    @admin.display(description=_("sends"))
    def sends(self, account: ChannelAccount) -> str:
        return label(gettext("paused"), "danger") if account.paused_at else label(gettext("yes"), "success")

    @admin.display(description=_("paused at"))
    def paused_since(self, account: ChannelAccount) -> str:
        return moment(account.paused_at)

    @admin.display(description=_("paused because"))
    def paused_because(self, account: ChannelAccount) -> str:
        return gettext(account.paused_reason) if account.paused_reason else NOTHING

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[UnfoldAction]:
        """Nothing to resume where nothing is paused."""
        account = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if account and account.paused_at else []

    @action(
        description=_("Resume"),
        permissions=["change"],
        icon="play_arrow",
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Is it put right?"),
            "description": _("Everything that waits leaves at once. What fails again pauses it again."),
            "form_class": None,
            "form_submit_text": _("Yes, resume"),
        },
    )
    def resume(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        account = ChannelAccount.objects.get(pk=object_id)
        jobs = pausing.resume(account, actor=request.user.get_username(), now=timezone.now())
        text = ngettext("It sends again: %(n)d message leaves.", "It sends again: %(n)d messages leave.", jobs)
        self.message_user(request, text % {"n": jobs}, messages.SUCCESS)
        self.log_change(request, account, "resumed")
        page = reverse("admin:conversations_channelaccount_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": page})


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """What the provider would refuse at the moment of sending is refused here."""

    class Meta:
        model = Template
        fields = ("workspace", "name", "language", "external_id", "body", "variables")

    def clean_variables(self) -> dict[str, str]:
        variables: object = self.cleaned_data["variables"] or {}
        if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
            raise forms.ValidationError(gettext('Write {"1": "a value", "2": "another"}.'))
        return variables

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if "body" not in given or "variables" not in given:
            return given
        wanted, filled = placeholders(given["body"]), set(given["variables"])
        if missing := sorted(wanted - filled):
            self.add_error("variables", gettext("Without a value: %(names)s") % {"names": ", ".join(missing)})
        if unknown := sorted(filled - wanted):
            self.add_error("variables", gettext("Not in the text: %(names)s") % {"names": ", ".join(unknown)})
        return given


@admin.register(Template)
class TemplateAdmin(ModelAdmin):
    form = TemplateForm
    list_display = ("name", "language", "workspace", "external_id")
    list_filter = ("workspace", "language")
    list_select_related = ("workspace",)
    search_fields = ("name", "external_id", "body")
