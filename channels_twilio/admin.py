"""What operators see of Twilio: accounts, senders, status callbacks, and what was refused."""

from __future__ import annotations

from django.contrib import admin
from unfold.admin import ModelAdmin

from queueing.read_only import ReadOnlyAdmin

from . import account_admin, quarantine_admin  # noqa: F401  (they register the screens of accounts and quarantine)
from .models import StatusEvent, TwilioSender


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
