from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChannelsTwilioConfig(AppConfig):
    """WhatsApp and SMS over Twilio: translates in, translates out, decides nothing."""

    name = "channels_twilio"
    verbose_name = _("Twilio")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (registers the system checks)
