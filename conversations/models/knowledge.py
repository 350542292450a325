"""What the assistant may say."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .workspace import Workspace


class Document(models.Model):
    """An uploaded file; a job makes knowledge entries of it."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="documents", verbose_name=_("workspace"))
    name = models.CharField(_("name"), max_length=200)
    file = models.FileField(_("file"), upload_to="documents/", max_length=200)
    read_at = models.DateTimeField(_("read at"), null=True, editable=False)
    problem = models.CharField(_("problem"), max_length=300, blank=True, editable=False)
    uploaded_at = models.DateTimeField(_("uploaded at"), auto_now_add=True)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")

    def __str__(self) -> str:
        return self.name


class KnowledgeEntry(models.Model):
    """Something the assistant may say: found by full-text search."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="knowledge", verbose_name=_("workspace"))
    title = models.CharField(_("title"), max_length=200)
    body = models.TextField(_("text"))
    document = models.ForeignKey(
        Document, models.CASCADE, null=True, blank=True, related_name="entries", verbose_name=_("document")
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("knowledge entry")
        verbose_name_plural = _("knowledge")

    def __str__(self) -> str:
        return self.title
