"""Screens of the assistants, the tools and documents that they may use, and what they have cost."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from queueing.display import NOTHING, label, moment
from queueing.pagination import CappedPaginator
from queueing.read_only import ReadOnlyAdmin

from . import documents
from .assistants import http_tool
from .assistants.tools import BUILT_IN
from .checks import model_problem
from .models import Assistant, Document, HttpTool, Usage


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
        given: str = self.cleaned_data["authorization"]
        return given or self.instance.authorization

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


class DocumentForm(forms.ModelForm):  # type: ignore[type-arg]
    """What could not be read is refused before it is stored."""

    class Meta:
        model = Document
        fields = ("workspace", "name", "file")

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if documents.suffix(file.name or "") not in documents.SUFFIXES:
            raise forms.ValidationError(gettext("It can be a text (.txt), Markdown (.md) or a PDF (.pdf)."))
        if (file.size or 0) > settings.MEDIA_MAX_BYTES:
            raise forms.ValidationError(gettext("the file is too large"))
        return file


@admin.register(Document)
class DocumentAdmin(ModelAdmin):
    """A document is read once, after it was uploaded; another version is another document."""

    form = DocumentForm
    list_display = ("name", "workspace", "stands", "number_of_entries", "uploaded")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    search_fields = ("name",)

    def has_change_permission(self, request: HttpRequest, obj: Document | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Document | None = None) -> tuple[str, ...]:
        # The file itself has no address: nobody gets it back from here.
        if obj:
            return ("workspace", "name", "stands", "number_of_entries", "uploaded")
        return ("workspace", "name", "file")

    def get_readonly_fields(self, request: HttpRequest, obj: Document | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: Document, form: DocumentForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        documents.read_later(obj)

    def delete_model(self, request: HttpRequest, obj: Document) -> None:
        documents.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        for document in queryset:
            documents.delete(document)

    @admin.display(description=_("state"))
    def stands(self, document: Document) -> str:
        if document.problem:
            return label(gettext(document.problem), "danger")
        return label(gettext("read"), "success") if document.read_at else label(gettext("waits to be read"), "info")

    @admin.display(description=_("knowledge"))
    def number_of_entries(self, document: Document) -> int:
        return document.entries.count()

    @admin.display(description=_("uploaded at"))
    def uploaded(self, document: Document) -> str:
        return moment(document.uploaded_at)


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
