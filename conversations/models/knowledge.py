"""What the assistant may say."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .workspace import Workspace


class KnowledgeEntry(models.Model):
    """Something the assistant may say: found by full-text search."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="knowledge", verbose_name=_("workspace"))
    title = models.CharField(_("title"), max_length=200)
    body = models.TextField(_("text"))
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("knowledge entry")
        verbose_name_plural = _("knowledge")

    def __str__(self) -> str:
        return self.title
