"""Twilio accounts and numbers for operators. A token goes in and never comes out again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminPasswordWidget

from queueing.read_only import ReadOnlyAdmin

from . import quarantine_admin  # noqa: F401  (it registers the quarantine's screens)
from .models import StatusEvent, TwilioAccount, TwilioSender


class TwilioAccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """A token that is left empty stays as it is."""

    class Meta:
        model = TwilioAccount
        fields = ("workspace", "account_sid", "auth_token", "next_auth_token")
        widgets = {
            name: UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
            for name in ("auth_token", "next_auth_token")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["auth_token"].required = False

    def clean_auth_token(self) -> str:
        token: str = self.cleaned_data["auth_token"] or self.instance.auth_token
        return token

    def clean_next_auth_token(self) -> str:
        token: str = self.cleaned_data["next_auth_token"] or self.instance.next_auth_token
        return token


@admin.register(TwilioAccount)
class TwilioAccountAdmin(ModelAdmin):
    form = TwilioAccountForm
    list_display = ("account_sid", "workspace", "is_rotating")
    list_select_related = ("workspace",)
    list_filter = ("workspace",)
    search_fields = ("account_sid",)
    actions = ("finish_rotation",)

    @admin.display(boolean=True, description=_("token is being rotated"))
    def is_rotating(self, account: TwilioAccount) -> bool:
        return bool(account.next_auth_token)

    @admin.action(description=_("Finish the rotation: the secondary token becomes the token"), permissions=["change"])
    def finish_rotation(self, request: HttpRequest, accounts: QuerySet[TwilioAccount]) -> None:
        done = accounts.exclude(next_auth_token="").update(auth_token=F("next_auth_token"), next_auth_token="")
        text = ngettext("%d account now uses its new token.", "%d accounts now use their new tokens.", done)
        self.message_user(request, text % done, messages.SUCCESS)


@admin.register(TwilioSender)
class TwilioSenderAdmin(ModelAdmin):
    list_display = ("channel_account", "account", "messaging_service_sid")
    list_select_related = ("channel_account", "account")
    list_filter = ("account",)
    search_fields = ("channel_account__address", "messaging_service_sid")
    autocomplete_fields = ("account",)


@admin.register(StatusEvent)
class StatusEventAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "status", "error_code", "external_id", "message_id")
    list_filter = ("status",)
    search_fields = ("=external_id",)
    ordering = ("-pk",)
    show_full_result_count = False  # counting every callback ever received would be most of the page's cost
