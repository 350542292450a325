"""What other programs are told, and what they have asked for."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from conversations.secrets import EncryptedTextField

from .workspace import Workspace


class Webhook(models.Model):
    """An address that is told what happens in a workspace."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="webhooks", verbose_name=_("workspace"))
    url = models.URLField(_("address"), max_length=500)
    secret = EncryptedTextField(_("secret"), help_text=_("each request is signed with it"))
    events = models.JSONField(_("events"), default=list, blank=True, help_text=_("which ones; none: all"))
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One thing that one address is to be told: ids alone, so that a contact who is erased leaves nothing here."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", verbose_name=_("webhook"))
    event = models.CharField(_("event"), max_length=50)
    payload = models.JSONField(_("payload"))
    created_at = models.DateTimeField(_("created at"))
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    response = models.CharField(_("last answer"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")

    def __str__(self) -> str:
        return f"{self.event} #{self.pk}"


class IdempotencyKey(models.Model):
    """A request of the API that must not be carried out twice, and what was answered to it."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    key = models.CharField(_("key"), max_length=100)
    digest = models.CharField(max_length=64)  # SHA-256 of what was asked for: another request under the key is refused
    status = models.PositiveSmallIntegerField(_("status"))
    answer = models.JSONField(_("answer"))
    created_at = models.DateTimeField(_("created at"), db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["workspace", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return self.key


class Erasure(models.Model):
    """The certificate that a contact was erased. It holds nothing of the contact."""

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="erasures", verbose_name=_("workspace"))
    reference = models.UUIDField(_("reference"), unique=True)
    requested_by = models.CharField(_("requested by"), max_length=150)
    requested_at = models.DateTimeField(_("requested at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    counts = models.JSONField(_("what was erased"), default=dict)

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")

    def __str__(self) -> str:
        return str(self.reference)
