"""One exchange with a contact, and its history."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .contact import Contact
from .workspace import ChannelAccount, Workspace


class State(models.TextChoices):
    """Where a conversation stands."""

    PENDING = "pending", _("pending")  # the contact wrote; nobody has answered yet
    IN_PROGRESS = "in_progress", _("in progress")  # the assistant is answering
    HUMAN = "human_handoff", _("with a person")  # the assistant is silent; a person answers
    IDLE = "idle", _("idle")  # quiet for a while; the next message resumes it
    CLOSED_BY_AGENT = "closed_by_agent", _("closed by agent")
    CLOSED_BY_SUPPORT = "closed_by_support", _("closed by support")
    CLOSED_BY_CONTACT = "closed_by_contact", _("closed by contact")
    EXPIRED = "expired", _("expired")
    FAILED = "failed", _("failed")


OPEN_STATES = (State.PENDING, State.IN_PROGRESS, State.HUMAN, State.IDLE)


class Conversation(models.Model):
    """One exchange between a contact and one of our addresses, from the first message until it is closed."""

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="conversations", verbose_name=_("workspace"))
    channel_account = models.ForeignKey(
        ChannelAccount, models.PROTECT, related_name="conversations", verbose_name=_("channel account")
    )
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="conversations", verbose_name=_("contact"))
    previous = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="followed_by",
        verbose_name=_("previous conversation"),
    )
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.PENDING)
    version = models.PositiveIntegerField(
        _("version"), default=0, help_text=_("counts transitions; a writer must hold the last one")
    )
    handoff_token = models.PositiveIntegerField(
        _("handoff token"),
        default=0,
        help_text=_("bumped by a takeover; an answer generated before it becomes a draft"),
    )
    next_seq = models.PositiveIntegerField(
        _("next number"), default=1, help_text=_("order of the messages, taken in the storing transaction")
    )
    answered_seq = models.PositiveIntegerField(_("answered up to"), default=0)
    superseded_seq = models.PositiveIntegerField(
        _("superseded up to"), default=0, help_text=_("a burst up to here already had one answer set aside")
    )
    opened_at = models.DateTimeField(_("opened at"))
    last_message_at = models.DateTimeField(_("last message at"))
    last_inbound_at = models.DateTimeField(_("contact's last message at"), null=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("assigned to"),
    )
    waiting_since = models.DateTimeField(
        _("waiting since"), null=True, blank=True, help_text=_("for a person; empty: for none")
    )
    summary = models.TextField(_("summary"), blank=True, help_text=_("of what the assistant is no longer shown"))
    summarised_seq = models.PositiveIntegerField(_("summarised up to"), default=0)

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [
            models.UniqueConstraint(
                fields=["channel_account", "contact"],
                condition=Q(state__in=["pending", "in_progress", "human_handoff", "idle"]),
                name="one_open_conversation",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "last_message_at"],
                condition=Q(closed_at__isnull=True),
                name="conversation_quiet",
            ),
            models.Index(fields=["workspace", "-last_message_at"], name="conversation_recent"),
            models.Index(
                fields=["workspace", "waiting_since"],
                condition=Q(waiting_since__isnull=False),
                name="conversation_waiting",
            ),
            models.Index(
                fields=["workspace", "closed_at"], condition=Q(closed_at__isnull=False), name="conversation_closed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact} #{self.pk}"

    def take_seq(self, now: datetime, *, inbound_at: datetime | None = None) -> int:
        """The next message's number. The row must be locked, so that numbers follow the order of the commits.

        Args:
            inbound_at: when the contact wrote the message, if it is theirs.
        """
        seq = self.next_seq
        self.next_seq = seq + 1
        self.last_message_at = now
        if inbound_at:
            self.last_inbound_at = max(inbound_at, self.last_inbound_at or inbound_at)
        self.save(update_fields=["next_seq", "last_message_at", "last_inbound_at"])
        return seq


class Event(models.Model):
    """A line of a conversation's history: every transition, with who, why and when."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="events", verbose_name=_("conversation")
    )
    at = models.DateTimeField(_("at"))
    from_state = models.CharField(_("from"), max_length=20, choices=State.choices, blank=True)
    to_state = models.CharField(_("to"), max_length=20, choices=State.choices)
    actor = models.CharField(_("who"), max_length=100)
    reason = models.CharField(_("why"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("history")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"


class Note(models.Model):
    """What operators tell each other about a conversation. The contact and the assistant never see it."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="notes", verbose_name=_("conversation"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("author")
    )
    text = models.TextField(_("text"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.conversation_id} #{self.pk}"
