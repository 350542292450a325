"""Screens of the assistants, the tools that they may use, and what they have cost."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from queueing.display import NOTHING, label, moment
from queueing.pagination import CappedPaginator
from queueing.read_only import ReadOnlyAdmin

from .assistants import http_tool
from .assistants.tools import BUILT_IN
from .checks import model_problem
from .models import Assistant, HttpTool, Usage


class AssistantForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model or a tool that there is not is refused here, and not when the next contact writes."""

    class Meta:
        model = Assistant
        fields = (
            "workspace",
            "name",
            "instructions",
            "model",
            "fallback_model",
            "temperature",
            "language",
            "tools",
            "memory",
        )

    def clean_model(self) -> str:
        return _existing(self.cleaned_data["model"])

    def clean_fallback_model(self) -> str:
        return _existing(self.cleaned_data["fallback_model"])

    def clean_tools(self) -> list[str]:
        tools: object = self.cleaned_data["tools"] or []
        if not isinstance(tools, list) or not all(isinstance(name, str) for name in tools):
            raise forms.ValidationError(gettext('Write ["search_knowledge", "remember"].'))
        return tools

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if "workspace" in given and "tools" in given:
            own = HttpTool.objects.filter(workspace=given["workspace"]).values_list("name", flat=True)
            known = BUILT_IN.union(own)
            if unknown := sorted(set(given["tools"]) - known):
                text = gettext("There is no tool %(unknown)s. There are %(known)s.")
                self.add_error("tools", text % {"unknown": ", ".join(unknown), "known": ", ".join(sorted(known))})
        return given


def _existing(model: str) -> str:
    if model and model_problem(model):
        text = gettext("There is no model %(name)s here. Write provider:model, of a provider whose key is set.")
        raise forms.ValidationError(text % {"name": model})
    return model


@admin.register(Assistant)
class AssistantAdmin(ModelAdmin):
    form = AssistantForm
    list_display = ("name", "workspace", "model", "fallback_model", "memory")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    search_fields = ("name",)


class HttpToolForm(forms.ModelForm):  # type: ignore[type-arg]
    """The authorization can be written and never read: left empty, it stays as it is."""

    url = forms.URLField(
        label=_("address"), max_length=500, assume_scheme="https", help_text=_("https; nothing else is ever asked")
    )
    authorization = forms.CharField(
        label=_("authorization"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("the header of that name; the model never sees it. Empty: stays as it is"),
    )

    class Meta:
        model = HttpTool
        fields = ("workspace", "name", "description", "method", "url", "authorization", "schema")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in BUILT_IN:
            raise forms.ValidationError(gettext("A tool of the product has this name."))
        return name

    def clean_authorization(self) -> str:
        return self.cleaned_data["authorization"] or self.instance.authorization

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if "url" in given and "schema" in given:
            found = http_tool.problem(HttpTool(url=given["url"], schema=given["schema"]))
            if found:
                self.add_error("url" if found == http_tool.NOT_HTTPS else "schema", gettext(found))
        return given


@admin.register(HttpTool)
class HttpToolAdmin(ModelAdmin):
    form = HttpToolForm
    list_display = ("name", "workspace", "method", "url")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    search_fields = ("name", "description")


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin):
    list_display = ("when", "workspace", "conversation", "purpose", "model", "input_tokens", "output_tokens", "costs")
    list_filter = ("workspace", "purpose", "settled")
    list_select_related = ("workspace", "conversation__contact")
    ordering = ("-id",)
    paginator = CappedPaginator
    show_full_result_count = False

    @admin.display(description=_("at"))
    def when(self, usage: Usage) -> str:
        return moment(usage.at)

    @admin.display(description=_("cost (USD)"))
    def costs(self, usage: Usage) -> str:
        if not usage.settled:
            return label(gettext("reserved: %(cost)s") % {"cost": usage.cost}, "warning")
        if not usage.cost and usage.input_tokens:
            return label(gettext("no price known"), "warning")
        return str(usage.cost) if usage.cost else NOTHING
