"""What operators see of the conversations, and what they configure: workspaces, addresses, knowledge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from queueing.display import NOTHING, label, moment
from queueing.labels import status_label
from queueing.models import Job
from queueing.pagination import CappedPaginator
from queueing.read_only import ReadOnlyAdmin

from . import assistant_admin, channel_admin, desk  # noqa: F401  (they register the screens of what is configured)
from .labels import delivery_label, kind_label, outcome_label, state_label
from .models import (
    BusinessHours,
    CannedReply,
    Contact,
    Conversation,
    KnowledgeEntry,
    Media,
    MediaState,
    Message,
    Outcome,
    Workspace,
)

MAX_MESSAGES = 200  # of the transcript, the newest
MAX_JOBS = 30


class LargeTableAdmin(ReadOnlyAdmin):
    """A list that stays quick when it is long."""

    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 0
    list_fullwidth = True
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()


@admin.register(Conversation)
class ConversationAdmin(LargeTableAdmin):
    list_display = ("who", "channel_account", "stands", "unanswered", "last_message", "opened")
    list_filter = ("state", "channel_account", "workspace")
    list_select_related = ("contact", "channel_account")
    search_fields = ("contact__name", "contact__address")
    search_help_text = _("name or number of the contact")
    ordering = ("-last_message_at",)
    change_form_outer_before_template = "conversations/conversation.html"  # outside the form: the desk is one itself

    class Media:
        css = {"all": ("queueing/screens.css", "conversations/transcript.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        waiting = Message.objects.filter(conversation=OuterRef("pk"), outcome=Outcome.WAITING).order_by()
        counted = waiting.values("conversation").annotate(number=Count("pk")).values("number")
        conversations: QuerySet[Conversation] = super().get_queryset(request)
        return conversations.annotate(waiting=Subquery(counted))

    def get_urls(self) -> list[Any]:
        step = path("<int:pk>/desk/", self.admin_site.admin_view(desk.act), name="conversations_desk")
        return [step, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Conversation | None = None) -> list[Any]:
        """None: the template shows the conversation as a whole."""
        return []

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        conversation = self.get_object(request, object_id) if object_id else None
        if conversation:
            extra_context = (extra_context or {}) | _transcript(conversation)
            if request.user.has_perm("conversations.change_conversation"):
                extra_context |= {"may_act": True} | desk.shown(conversation)
            if request.user.has_perm("queueing.view_job"):
                extra_context |= {"jobs": _jobs(conversation)}
        return super().changeform_view(request, object_id, form_url, extra_context)

    @admin.display(description=_("contact"))
    def who(self, conversation: Conversation) -> str:
        return str(conversation.contact)

    @admin.display(description=_("state"))
    def stands(self, conversation: Conversation) -> str:
        return state_label(conversation)

    @admin.display(description=_("unanswered"))
    def unanswered(self, conversation: Conversation) -> str:
        waiting: int | None = conversation.waiting  # type: ignore[attr-defined]  # annotated above
        return label(str(waiting), "warning") if waiting else NOTHING

    @admin.display(description=_("last message"))
    def last_message(self, conversation: Conversation) -> str:
        return moment(conversation.last_message_at)

    @admin.display(description=_("opened"))
    def opened(self, conversation: Conversation) -> str:
        return moment(conversation.opened_at)


def _transcript(conversation: Conversation) -> dict[str, Any]:
    newest = conversation.messages.select_related("answer").prefetch_related("media").order_by("-seq")
    messages = list(newest[: MAX_MESSAGES + 1])
    return {
        "messages_shown": messages[:MAX_MESSAGES][::-1],
        "older_hidden": len(messages) > MAX_MESSAGES,
        "state": state_label(conversation),
        "history": conversation.events.all(),
        "notes": conversation.notes.select_related("author"),
    }


def _jobs(conversation: Conversation) -> list[tuple[Job, str]]:
    """The link to the queue is made from here: a job only carries the word that we gave it."""
    about = Job.objects.filter(Q(subject=f"conversation:{conversation.pk}") & ~Q(subject=""))
    return [(job, status_label(job)) for job in about.order_by("-pk")[:MAX_JOBS]]


@admin.register(Message)
class MessageAdmin(LargeTableAdmin):
    list_display = ("words", "author", "conversation", "delivery", "became", "external_id", "at")
    list_filter = ("direction", "delivery_status", "author", "outcome")
    list_select_related = ("conversation__contact",)
    search_fields = ("=external_id", "text")
    search_help_text = _("external id written out, or a part of the text")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("text", ("author", "direction"), ("sort", "channel_account"), ("conversation", "seq"))}),
        (_("Delivery"), {"fields": ("delivery", "external_id", "error_code", "error")}),
        (_("Account"), {"fields": ("became", "why", "answer", ("answers_seq", "part"))}),
        (_("Times"), {"fields": ("created_at", ("sending_since", "sent_at"))}),
        (_("As received"), {"fields": ("details", "raw"), "classes": ("collapse",)}),
    )

    def get_urls(self) -> list[Any]:
        file = path("file/<int:pk>/", self.admin_site.admin_view(self.file_view), name="conversations_file")
        return [file, *super().get_urls()]

    def file_view(self, request: HttpRequest, pk: int) -> FileResponse:
        """A file of a message, for those who may see the message. Strangers made it: no browser may run it."""
        media = get_object_or_404(Media.objects.select_related("message"), pk=pk, state=MediaState.STORED)
        if not self.has_view_permission(request, media.message):
            raise PermissionDenied
        try:
            content = media.file.open("rb")
        except FileNotFoundError:
            raise Http404 from None
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        }
        filename = f"{media.message_id}-{media.position + 1}{Path(str(media.file)).suffix}"
        return FileResponse(
            content, as_attachment=True, filename=filename, content_type=media.content_type, headers=headers
        )

    @admin.display(description=_("message"))
    def words(self, message: Message) -> str:
        return Truncator(message.text).chars(60) or f"[{kind_label(message)}]"

    @admin.display(description=_("kind"))
    def sort(self, message: Message) -> str:
        return kind_label(message)

    @admin.display(description=_("delivery"))
    def delivery(self, message: Message) -> str:
        return delivery_label(message)

    @admin.display(description=_("outcome"))
    def became(self, message: Message) -> str:
        return outcome_label(message) or NOTHING

    @admin.display(description=_("error"))
    def error(self, message: Message) -> str:
        return gettext(message.error_reason) or NOTHING

    @admin.display(description=_("reason"))
    def why(self, message: Message) -> str:
        return gettext(message.outcome_reason) or NOTHING

    @admin.display(description=_("at"))
    def at(self, message: Message) -> str:
        return moment(message.created_at)


@admin.register(Contact)
class ContactAdmin(ModelAdmin):
    list_display = ("__str__", "address", "medium", "workspace", "opted_out_at", "created_at")
    list_filter = ("medium", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("name", "address")
    ordering = ("-id",)
    fields = ("name", ("medium", "address"), "workspace", ("created_at", "opted_out_at"))
    readonly_fields = ("medium", "address", "workspace", "created_at", "opted_out_at")
    paginator = CappedPaginator
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Contacts come with their first message."""
        return False


class BusinessHoursInline(TabularInline):
    model = BusinessHours
    extra = 0


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin):
    inlines = (BusinessHoursInline,)
    list_display = ("name", "slug", "locale", "created_at")
    prepopulated_fields = {"slug": ("name",)}


@admin.register(KnowledgeEntry)
class KnowledgeEntryAdmin(ModelAdmin):
    list_display = ("title", "workspace", "updated_at")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    search_fields = ("title", "body")


@admin.register(CannedReply)
class CannedReplyAdmin(ModelAdmin):
    list_display = ("shortcut", "workspace", "text")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    search_fields = ("shortcut", "text")
