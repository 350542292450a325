"""Webhooks that were refused: what would have made them valid, and the click that lets one in after all."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from queueing.display import NOTHING, moment
from queueing.read_only import ReadOnlyAdmin

from .diagnosis import Diagnosis, diagnose
from .models import QuarantinedRequest
from .payloads import Unreadable
from .quarantine import as_request
from .release import NotReleased, needs_token, release
from .signature import SignedRequest


@admin.register(QuarantinedRequest)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ("path", "account_sid", "host", "received", "released")
    list_filter = ("account_sid",)
    search_fields = ("account_sid", "path")
    ordering = ("-pk",)
    actions_detail = ("release_request",)
    fieldsets = (
        (gettext_lazy("Diagnosis"), {"fields": ("diagnosis", "released")}),
        (
            gettext_lazy("As received"),
            {
                "fields": (
                    "received",
                    "account_sid",
                    ("scheme", "host"),
                    "path",
                    "content_type",
                    ("signature", "signature_settings"),
                    "parameters",
                )
            },
        ),
    )

    def has_release_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Who may release. The request itself is nobody's to change."""
        return request.user.has_perm("channels_twilio.change_quarantinedrequest")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[UnfoldAction]:
        """None where there is nothing to release."""
        row = self.get_object(request, str(object_id))
        if row is None or row.released_at or diagnose(row) is None:
            return []
        actions: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        return actions

    @action(
        description=gettext_lazy("Release"),
        permissions=["release"],
        icon="lock_open",
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": gettext_lazy("Release this request?"),
            "description": gettext_lazy("It is processed as if it had just been accepted."),
            "form_class": None,
            "form_submit_text": gettext_lazy("Yes, release it"),
        },
    )
    def release_request(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        row = QuarantinedRequest.objects.get(pk=object_id)
        try:
            diagnosis = release(row)
        except NotReleased:
            self.message_user(
                request, _("It was not released: it is not valid, or was released before."), messages.ERROR
            )
        except Unreadable as error:
            self.message_user(request, _("It was not released: %(error)s") % {"error": error}, messages.ERROR)
        except DatabaseError:
            self.message_user(request, _("It was not released: the database is not available."), messages.ERROR)
        else:
            self.log_change(request, row, "released")
            self.message_user(request, " ".join([_("It was released."), *_what_to_do(diagnosis)]), messages.SUCCESS)
        return HttpResponse(
            headers={"HX-Redirect": reverse("admin:channels_twilio_quarantinedrequest_change", args=[object_id])}
        )

    @admin.display(description=gettext_lazy("diagnosis"))
    def diagnosis(self, row: QuarantinedRequest) -> str:
        found = diagnose(row)
        if found is None:
            return _("It is valid under no address and no token that is known here: it cannot be released.")
        signed = _("It is valid for %(url)s with %(secret)s.") % {"url": found.url, "secret": _secret(found)}
        return " ".join([signed, *_what_to_do(found)])

    @admin.display(description=gettext_lazy("parameters"))
    def parameters(self, row: QuarantinedRequest) -> str:
        try:
            params = SignedRequest(as_request(row)).params
        except BadRequest:  # a form that says that it is not in UTF-8
            return NOTHING
        return "\n".join(f"{name}={value}" for name, values in params.lists() for value in values) or NOTHING

    @admin.display(description=gettext_lazy("received at"), ordering="received_at")
    def received(self, row: QuarantinedRequest) -> str:
        return moment(row.received_at)

    @admin.display(description=gettext_lazy("released at"), ordering="released_at")
    def released(self, row: QuarantinedRequest) -> str:
        return moment(row.released_at)


def _secret(found: Diagnosis) -> str:
    owner = found.owner
    names: dict[str, Any] = {
        owner.auth_token: _("the auth token of %(account)s"),
        owner.next_auth_token: _("the secondary auth token of %(account)s"),
        owner.shared_key_secret: _("the webhook key of %(account)s"),
    }
    return str(names[found.secret] % {"account": owner})


def _what_to_do(found: Diagnosis) -> list[str]:
    """So that the next one is not refused. Empty where that has been done since."""
    advice = []
    if found.base_url:
        advice.append(_("Set PUBLIC_BASE_URL=%(url)s and restart.") % {"url": found.base_url})
    if found.target_differs:
        advice.append(
            _("Something on the way changes the path or the query: have your proxy pass on what Twilio calls, %(url)s.")
            % {"url": found.url}
        )
    if needs_token(found):
        advice.append(
            _("Releasing makes it the secondary auth token of %(account)s, which then accepts it.")
            % {"account": found.account}
        )
    elif found.owner != found.account:
        advice.append(_("Enter it at %(account)s, the account that the request names.") % {"account": found.account})
    return advice
