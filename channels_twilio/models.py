"""Twilio's side of a channel account: the credentials, and which of our addresses they own."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from conversations.models import ChannelAccount, Workspace

from .secrets import EncryptedTextField

CHANNEL = "twilio"  # our key in settings.CHANNELS


class TwilioAccount(models.Model):
    """One Twilio account (an AccountSid). Its tokens check signatures and authorise the REST API."""

    workspace = models.ForeignKey(
        Workspace, models.PROTECT, related_name="twilio_accounts", verbose_name=_("workspace")
    )
    account_sid = models.CharField(_("account SID"), max_length=34, unique=True)
    auth_token = EncryptedTextField(_("auth token"))
    next_auth_token = EncryptedTextField(
        _("secondary auth token"),
        blank=True,
        help_text=_("while a token is being rotated, signatures of both are accepted"),
    )

    class Meta:
        verbose_name = _("Twilio account")
        verbose_name_plural = _("Twilio accounts")

    def __str__(self) -> str:
        return self.account_sid


class TwilioSender(models.Model):
    """Ties one of our addresses to the Twilio account that owns it."""

    account = models.ForeignKey(TwilioAccount, models.PROTECT, related_name="senders", verbose_name=_("Twilio account"))
    channel_account = models.OneToOneField(
        ChannelAccount, models.PROTECT, related_name="twilio_sender", verbose_name=_("channel account")
    )
    messaging_service_sid = models.CharField(_("messaging service SID"), max_length=34, blank=True)

    class Meta:
        verbose_name = _("Twilio sender")
        verbose_name_plural = _("Twilio senders")

    def __str__(self) -> str:
        return f"{self.channel_account} ({self.account})"


class StatusEvent(models.Model):
    """A status callback as it came, also one whose message is not known (yet)."""

    account_sid = models.CharField(_("account SID"), max_length=34)
    external_id = models.CharField(_("external id"), max_length=34, db_index=True)
    message_id = models.BigIntegerField(
        _("our message"), null=True, help_text=_("the id that our callback URL carried")
    )
    status = models.CharField(_("status"), max_length=30)
    error_code = models.CharField(_("error code"), max_length=20, blank=True)
    raw = models.JSONField(_("as received"))
    received_at = models.DateTimeField(_("received at"))

    class Meta:
        verbose_name = _("status callback")
        verbose_name_plural = _("status callbacks")

    def __str__(self) -> str:
        return f"{self.external_id} {self.status}"
