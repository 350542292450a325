"""Every address that this project answers."""

from django.contrib import admin
from django.urls import include, path

from .health import healthz, readyz

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/", admin.site.urls),
    path("webhooks/twilio/", include("channels_twilio.urls")),
]
