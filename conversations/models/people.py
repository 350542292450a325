"""What helps the people who answer."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .workspace import Workspace


class CannedReply(models.Model):
    """Words that operators say often."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="canned_replies", verbose_name=_("workspace"))
    shortcut = models.SlugField(_("shortcut"), max_length=30)
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        constraints = [models.UniqueConstraint(fields=["workspace", "shortcut"], name="one_reply_per_shortcut")]

    def __str__(self) -> str:
        return f"/{self.shortcut}"
