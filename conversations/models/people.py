"""Who works for a workspace, and with what rights."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .workspace import Workspace


class Role(models.TextChoices):
    """What a person may do in a workspace. Each may do what those above it may."""

    VIEWER = "viewer", _("viewer")  # reads
    OPERATOR = "operator", _("operator")  # answers, takes over, closes
    SUPERVISOR = "supervisor", _("supervisor")  # assigns, edits knowledge and texts, looks into jobs
    ADMIN = "admin", _("admin")  # accounts, people, privacy

    def allows(self, needed: Role) -> bool:
        """Whether this role is enough where `needed` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Membership(models.Model):
    """A person's role in one workspace. Without one, the workspace does not exist for them."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships", verbose_name=_("workspace"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships", verbose_name=_("person")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="one_role_per_person")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


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
