"""Twilio accounts with their senders. A secret goes in, is tested, and never comes out again."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from conversations.models import ChannelAccount, Medium

from .models import CHANNEL, TwilioAccount, TwilioSender
from .verification import problems
from .webhook_urls import inbound_url, status_url

SECRETS = ("auth_token", "next_auth_token", "api_key_secret", "shared_key_secret")


class TwilioAccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """A secret that is left empty stays as it is."""

    class Meta:
        model = TwilioAccount
        fields = (
            "workspace",
            "account_sid",
            "auth_token",
            "next_auth_token",
            "api_key_sid",
            "api_key_secret",
            "shared_key_id",
            "shared_key_secret",
        )
        widgets = {name: UnfoldAdminPasswordWidget({"autocomplete": "new-password"}) for name in SECRETS}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["auth_token"].required = False

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name in SECRETS:
            given[name] = given.get(name) or getattr(self.instance, name)
        if given.get("api_key_sid") and not given["api_key_secret"]:
            self.add_error("api_key_secret", _("An API key needs its secret."))
        return given


class SenderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A number of the account. It is entered once: its conversations hang on it."""

    medium = forms.ChoiceField(
        label=gettext_lazy("medium"),
        choices=Medium.choices,
        initial=Medium.WHATSAPP,  # which a browser sends for an empty row too: the row counts as untouched
        widget=UnfoldAdminSelectWidget(choices=Medium.choices),
    )
    address = forms.RegexField(
        r"^(\+\d{6,15}|\d{3,8})$",
        label=gettext_lazy("number"),
        help_text=gettext_lazy("+14155238886, or a short code"),
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = TwilioSender
        fields = ("messaging_service_sid",)

    def __init__(self, *args: Any, account: TwilioAccount, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        if self.instance.pk:
            for name in ("medium", "address"):
                self.fields[name].initial = getattr(self.instance.channel_account, name)
                self.fields[name].disabled = True

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        taken = TwilioSender.objects.exclude(pk=self.instance.pk).filter(
            channel_account__workspace=self.account.workspace_id,
            channel_account__medium=given.get("medium", ""),
            channel_account__address=given.get("address", ""),
        )
        if taken.exists():
            self.add_error("address", _("This number is tied to a Twilio account already."))
        return given

    def save(self, commit: bool = True) -> TwilioSender:
        if not self.instance.pk:
            self.instance.channel_account, _created = ChannelAccount.objects.get_or_create(
                workspace_id=self.account.workspace_id,
                channel=CHANNEL,
                medium=self.cleaned_data["medium"],
                address=self.cleaned_data["address"],
            )
        sender: TwilioSender = super().save(commit)
        return sender


class SenderFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """The account too: while it is being added, its senders cannot look it up."""
        return super().get_form_kwargs(index) | {"account": self.instance}


class SenderInline(TabularInline):
    model = TwilioSender
    form = SenderForm
    formset = SenderFormSet
    fields = ("medium", "address", "messaging_service_sid")
    extra = 1
    can_delete = False  # what was said with it stays; a number is moved by its own page


@admin.register(TwilioAccount)
class TwilioAccountAdmin(ModelAdmin):
    form = TwilioAccountForm
    inlines = (SenderInline,)
    list_display = ("account_sid", "workspace", "is_rotating")
    list_select_related = ("workspace",)
    list_filter = ("workspace",)
    search_fields = ("account_sid",)
    actions = ("finish_rotation",)
    readonly_fields = ("inbound", "fallback", "status")
    fieldsets = (
        (None, {"fields": ("workspace", "account_sid", "auth_token", "next_auth_token")}),
        (gettext_lazy("API key"), {"fields": (("api_key_sid", "api_key_secret"),), "classes": ("collapse",)}),
        (gettext_lazy("Webhook key"), {"fields": (("shared_key_id", "shared_key_secret"),), "classes": ("collapse",)}),
        (
            gettext_lazy("Paste into Twilio"),
            {
                "fields": ("inbound", "fallback", "status"),
                "description": gettext_lazy(
                    "Into each number, WhatsApp sender or messaging service, all with HTTP POST. A click selects one."
                ),
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: TwilioAccount, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        transaction.on_commit(partial(self._test, request, obj))  # no transaction waits for Twilio

    def _test(self, request: HttpRequest, account: TwilioAccount) -> None:
        """What is wrong is said and not enforced: an account may be entered before Twilio, or the network, is ready."""
        connection.close()
        found = problems(account)
        for problem in found:
            self.message_user(request, problem, messages.WARNING)
        if not found:
            self.message_user(request, _("Twilio accepts these credentials."), messages.SUCCESS)

    @admin.display(boolean=True, description=gettext_lazy("token is being rotated"))
    def is_rotating(self, account: TwilioAccount) -> bool:
        return bool(account.next_auth_token)

    @admin.display(description=gettext_lazy("when a message comes in"))
    def inbound(self, account: TwilioAccount) -> str:
        return _selectable(inbound_url())

    @admin.display(description=gettext_lazy("when that fails (fallback)"))
    def fallback(self, account: TwilioAccount) -> str:
        return _selectable(inbound_url())

    @admin.display(description=gettext_lazy("status callback"))
    def status(self, account: TwilioAccount) -> str:
        return _selectable(status_url())

    @admin.action(
        description=gettext_lazy("Finish the rotation: the secondary token becomes the token"), permissions=["change"]
    )
    def finish_rotation(self, request: HttpRequest, accounts: QuerySet[TwilioAccount]) -> None:
        done = accounts.exclude(next_auth_token="").update(auth_token=F("next_auth_token"), next_auth_token="")
        text = ngettext("%d account now uses its new token.", "%d accounts now use their new tokens.", done)
        self.message_user(request, text % done, messages.SUCCESS)


def _selectable(url: str) -> str:
    return format_html('<code style="user-select: all">{}</code>', url)
