"""Twilio's side of a channel account: the credentials, and which of our addresses they own."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from conversations.models import ChannelAccount, Workspace
from conversations.secrets import EncryptedTextField

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
    api_key_sid = models.CharField(
        _("API key SID"), max_length=34, blank=True, help_text=_("SK…; used in place of the token for the REST API")
    )
    api_key_secret = EncryptedTextField(_("API key secret"), blank=True)
    shared_key_id = models.CharField(
        _("webhook key id"), max_length=64, blank=True, help_text=_("of the shared key that signs webhooks, if any")
    )
    shared_key_secret = EncryptedTextField(_("webhook key secret"), blank=True)
    reconciled_until = models.DateTimeField(
        _("reconciled until"), null=True, editable=False, help_text=_("inbound messages before it have been looked for")
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


class QuarantinedRequest(models.Model):
    """A webhook whose signature was refused: kept as it came, not processed until somebody releases it.

    Everything that the check needs is here, so that it can be repeated under another address or token.
    """

    received_at = models.DateTimeField(_("received at"), db_index=True)
    account_sid = models.CharField(_("account SID"), max_length=34, blank=True, help_text=_("what the request claims"))
    path = models.CharField(_("path"), max_length=2000, help_text=_("as it was asked for, with its query"))
    host = models.CharField(_("host"), max_length=255, blank=True, help_text=_("that the request was sent to"))
    scheme = models.CharField(_("scheme"), max_length=5)
    content_type = models.CharField(_("type"), max_length=100, blank=True)
    signature = models.CharField(_("signature"), max_length=200, blank=True)
    signature_settings = models.CharField(_("signature settings"), max_length=200, blank=True)
    body = models.BinaryField(_("body"))
    released_at = models.DateTimeField(_("released at"), null=True)

    class Meta:
        verbose_name = _("quarantined request")
        verbose_name_plural = _("quarantined requests")

    def __str__(self) -> str:
        return f"{self.path} #{self.pk}"
