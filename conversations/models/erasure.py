"""What is left of those who were forgotten."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .workspace import Workspace


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
