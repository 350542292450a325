"""The people who write to us."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .workspace import Medium, Workspace


class Contact(models.Model):
    """A person, known by the address they write from."""

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="contacts", verbose_name=_("workspace"))
    medium = models.CharField(_("medium"), max_length=20, choices=Medium.choices)
    address = models.CharField(_("address"), max_length=100)
    name = models.CharField(_("name"), max_length=200, blank=True)
    opted_out_at = models.DateTimeField(_("opted out at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "medium", "address"], name="one_contact_per_address"),
        ]

    def __str__(self) -> str:
        return self.name or self.address


class Fact(models.Model):
    """Something that is remembered about a contact."""

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="facts", verbose_name=_("contact"))
    name = models.CharField(_("name"), max_length=100)
    value = models.CharField(_("value"), max_length=500)
    updated_at = models.DateTimeField(_("updated at"))

    class Meta:
        verbose_name = _("fact")
        verbose_name_plural = _("facts")
        constraints = [models.UniqueConstraint(fields=["contact", "name"], name="one_fact_per_name")]

    def __str__(self) -> str:
        return self.name
