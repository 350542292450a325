"""The base of screens that only show."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """For rows that the product writes and people only look at. Who may change them elsewhere may look at them here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        model = f"{self.opts.app_label}.%s_{self.opts.model_name}"
        return request.user.has_perm(model % "view") or request.user.has_perm(model % "change")
