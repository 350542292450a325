"""The tenant, and our own addresses."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from queueing.cadence import validate_time_zone


def languages() -> list[tuple[str, str]]:
    """Those that the product's own words are translated into."""
    return settings.LANGUAGES


class UnknownSends(models.TextChoices):
    """What to do about a message of which nobody can tell whether it was sent."""

    PERSON = "person", _("a person decides")
    RESEND = "resend", _("send it again, at the risk that it comes twice")


class Workspace(models.Model):
    """The tenant: everything below belongs to exactly one."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("slug"), unique=True)
    locale = models.CharField(
        _("language"), max_length=10, default="en", choices=languages, help_text=_("in which contacts are written to")
    )
    time_zone = models.CharField(_("time zone"), max_length=50, default="UTC", validators=[validate_time_zone])
    unknown_sends = models.CharField(
        _("when it is not known whether a message was sent"),
        max_length=10,
        choices=UnknownSends.choices,
        default=UnknownSends.PERSON,
        help_text=_("after every way to find out has failed"),
    )
    window_template = models.ForeignKey(
        "Template",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("template after 24 hours"),
        help_text=_("sent in place of an answer that WhatsApp would refuse; without one, a person decides"),
    )
    media_days = models.PositiveSmallIntegerField(_("days that files are kept"), default=90, help_text=_("0: for ever"))
    retention_days = models.PositiveSmallIntegerField(
        _("days that closed conversations are kept"), default=0, help_text=_("0: for ever")
    )
    instructions = models.TextField(
        _("instructions for the assistant"), blank=True, help_text=_("for every assistant of the workspace")
    )
    assistant = models.ForeignKey(
        "Assistant", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("assistant")
    )
    after_hours_assistant = models.ForeignKey(
        "Assistant",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("assistant outside business hours"),
    )
    after_hours_message = models.TextField(
        _("message outside business hours"),
        blank=True,
        help_text=_("sent once in a while in place of an answer, where no other assistant answers then"),
    )
    closing_words = models.TextField(
        _("closing words"),
        blank=True,
        default="tchau\nencerrar\nbye\ngoodbye",
        help_text=_("one in each line; a message that is nothing else ends the conversation"),
    )
    nudge = models.TextField(
        _("nudge"), blank=True, help_text=_("sent once when a conversation goes idle, within 24 hours; empty: none")
    )
    last_word = models.TextField(
        _("last word"), blank=True, help_text=_("sent when a conversation expires, within 24 hours; empty: none")
    )
    handoff_words = models.TextField(
        _("words that ask for a person"),
        blank=True,
        default="atendente\nhumano\nagent\nhuman",
        help_text=_("one in each line; a message that is nothing else gives the conversation to a person"),
    )
    budget = models.DecimalField(
        _("budget for a month (USD)"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=_("what models may cost; once it is used up, people answer. Empty: no limit"),
    )
    longest_exchange = models.PositiveSmallIntegerField(
        _("answers without a pause"),
        default=30,
        help_text=_("of the assistant in ten minutes of one conversation; after so many a person looks: is it a bot?"),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")

    def __str__(self) -> str:
        return self.name


class Medium(models.TextChoices):
    """What carries the words."""

    WHATSAPP = "whatsapp", "WhatsApp"
    SMS = "sms", "SMS"


class ChannelAccount(models.Model):
    """Our address on a channel, for example one WhatsApp number."""

    workspace = models.ForeignKey(
        Workspace, models.PROTECT, related_name="channel_accounts", verbose_name=_("workspace")
    )
    channel = models.CharField(_("channel"), max_length=30, help_text=_("a key of settings.CHANNELS"))
    medium = models.CharField(_("medium"), max_length=20, choices=Medium.choices)
    address = models.CharField(_("address"), max_length=100)
    name = models.CharField(_("name"), max_length=100, blank=True)
    assistant = models.ForeignKey(
        "Assistant",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("assistant"),
        help_text=_("empty: the workspace's"),
    )
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True, editable=False)
    paused_reason = models.CharField(_("paused because"), max_length=300, blank=True, editable=False)
    messages_per_second = models.FloatField(
        _("messages per second"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text=_("what more is queued here rather than refused there; empty: what the channel allows"),
    )
    next_send_at = models.DateTimeField(
        _("next send at"), null=True, editable=False, help_text=_("the first moment that no message has taken yet")
    )

    class Meta:
        verbose_name = _("channel account")
        verbose_name_plural = _("channel accounts")
        constraints = [
            # Within the workspace: a provider may share one address among its customers, as a sandbox number is.
            models.UniqueConstraint(
                fields=["workspace", "channel", "medium", "address"], name="one_account_per_address"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_medium_display()} {self.address}"


class Template(models.Model):
    """A text that the provider has approved: the only thing that may be sent to a contact who has been silent."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="templates", verbose_name=_("workspace"))
    name = models.CharField(_("name"), max_length=100)
    language = models.CharField(_("language"), max_length=10, choices=languages, default="en")
    external_id = models.CharField(_("external id"), max_length=64, help_text=_("the provider's, for example HX…"))
    body = models.TextField(
        _("text"), help_text=_("as it was approved, with {{1}}, {{2}} … for its variables: what the transcript shows")
    )
    variables = models.JSONField(
        _("variables"),
        default=dict,
        blank=True,
        help_text=_('what to fill in where nobody says otherwise, for example {"1": "contact_name"}'),
    )

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name", "language"], name="one_template_per_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"


class BusinessHours(models.Model):
    """A span of a weekday in which people are there, by the workspace's clock. None at all: always."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="hours", verbose_name=_("workspace"))
    weekday = models.PositiveSmallIntegerField(_("weekday"), choices=list(WEEKDAYS.items()))
    opens = models.TimeField(_("opens"))
    closes = models.TimeField(_("closes"), help_text=_("on the same day; 00:00 is midnight"))

    class Meta:
        verbose_name = _("business hours")
        verbose_name_plural = _("business hours")
        ordering = ["weekday", "opens"]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M} to {self.closes:%H:%M}"
