"""The two addresses that Twilio calls. The slash is optional: Twilio would follow a redirect without its parameters."""

from django.urls import re_path

from .views import inbound, status

app_name = "channels_twilio"
urlpatterns = [
    re_path(r"^inbound/?$", inbound, name="inbound"),
    re_path(r"^status/?$", status, name="status"),
]
