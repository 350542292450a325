"""Every address that this project answers."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from conversations.media_links import media

from .health import healthz, readyz
from .metrics import metrics

urlpatterns = [
    path("", RedirectView.as_view(url="/simulator/" if settings.SANDBOX else "/admin/")),
    path("webhooks/twilio/", include("channels_twilio.urls")),
    path("media/<str:token>/", media, name="sent-media"),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]
if settings.RQ_PAGES:
    urlpatterns.insert(0, path("admin/django_rq/", include("queueing.rq_pages")))  # the admin takes all below it
if settings.SANDBOX:
    urlpatterns.append(path("simulator/", include("channels_twilio.sandbox.urls")))
