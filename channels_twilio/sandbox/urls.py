"""The phone in the browser. Included at `/simulator/`, and only where `settings.SANDBOX` is on."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "simulator"
urlpatterns = [
    path("", views.show_phone, name="phone"),
    path("twin/<path:path>", views.ask_twin, name="twin"),
]
