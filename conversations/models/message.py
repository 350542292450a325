"""What was written, how far it has come, and what became of it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .conversation import Conversation
from .workspace import ChannelAccount, Template


def media_path(media: Media, filename: str) -> str:
    """Where a file is stored: a name that nobody can guess, and that says nothing of what is in it."""
    return f"media/{media.message_id}/{uuid4().hex}{Path(filename).suffix[:10]}"


class Direction(models.TextChoices):
    INBOUND = "inbound", _("inbound")
    OUTBOUND = "outbound", _("outbound")


class Author(models.TextChoices):
    CONTACT = "contact", _("contact")
    ASSISTANT = "assistant", _("assistant")
    AGENT = "agent", _("agent")  # a human of ours
    SYSTEM = "system", _("system")  # fixed words of the product, for example an apology


class DeliveryStatus(models.TextChoices):
    """How far a message has come. `conversations.delivery` holds the ranks; nothing else moves them."""

    RECEIVED = "received", _("received")  # inbound, stored
    DRAFT = "draft", _("draft")  # outbound, private: overtaken by a person or by newer messages; never sent
    PENDING = "pending", _("pending")  # stored with its deliver job
    SENDING = "sending", _("sending")  # the intent is committed; the request may be on the wire
    UNKNOWN = "unknown", _("unknown")  # the request's outcome is not known; looked up, never blindly repeated
    QUEUED = "queued", _("queued")  # the provider has it
    SENT = "sent", _("sent")
    DELIVERED = "delivered", _("delivered")
    READ = "read", _("read")
    UNDELIVERED = "undelivered", _("undelivered")
    FAILED = "failed", _("failed")  # certainly not sent, for good
    CANCELED = "canceled", pgettext_lazy("message", "cancelled")
    SUPPRESSED = "suppressed", _("suppressed")  # the contact has opted out


class Outcome(models.TextChoices):
    """What became of an inbound message: the account that `audit_messages` checks. Outbound messages have none."""

    WAITING = "waiting", _("waiting")  # no answer yet; a job is under way
    ANSWERED = "answered", _("answered")
    MERGED = "merged", _("answered with its burst")  # the answer hangs on the last message of the burst
    HUMAN = "human", _("given to a person")
    SUPPRESSED = "suppressed", _("suppressed")  # opt-out or keyword
    DEAD = "dead", pgettext_lazy("message", "dead")  # with a visible reason


class Message(models.Model):
    """One message, inbound or outbound. Its text is exactly what was written."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="messages", verbose_name=_("conversation")
    )
    channel_account = models.ForeignKey(
        ChannelAccount, models.PROTECT, related_name="+", verbose_name=_("channel account"), db_index=False
    )
    seq = models.PositiveIntegerField(_("number in the conversation"))
    direction = models.CharField(_("direction"), max_length=8, choices=Direction.choices)
    author = models.CharField(_("author"), max_length=10, choices=Author.choices)
    kind = models.CharField(
        _("kind"),
        max_length=20,
        default="text",
        help_text=_("text, image, audio, video, document, location, contacts, interactive …"),
    )
    text = models.TextField(_("text"), blank=True)
    details = models.JSONField(
        _("details"), default=dict, blank=True, help_text=_("location, button, quoted message, referral …")
    )
    external_id = models.CharField(_("external id"), max_length=64, blank=True)
    delivery_status = models.CharField(_("delivery status"), max_length=12, choices=DeliveryStatus.choices)
    error_code = models.CharField(_("error code"), max_length=20, blank=True)
    error_reason = models.CharField(_("error"), max_length=300, blank=True)
    resends = models.PositiveSmallIntegerField(
        _("sent again"), default=0, help_text=_("how often, after the provider had accepted it and then failed")
    )
    template = models.ForeignKey(
        Template, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("template")
    )
    template_variables = models.JSONField(_("variables"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"))
    sending_since = models.DateTimeField(_("sending since"), null=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    raw = models.JSONField(_("as received"), default=dict, blank=True)

    quoted = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("in reply to")
    )

    # Inbound: what became of it.
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices, blank=True)
    outcome_reason = models.CharField(_("reason"), max_length=300, blank=True)
    answer = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="answered_messages", verbose_name=_("answer")
    )

    # Outbound answers: the burst that they answer (its first message), and which part of the answer this is.
    answers_seq = models.PositiveIntegerField(_("answers from"), null=True)
    part = models.PositiveSmallIntegerField(_("part"), default=0)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="one_message_per_seq"),
            models.UniqueConstraint(
                fields=["channel_account", "external_id"],
                condition=~Q(external_id=""),
                name="one_message_per_external_id",
            ),
            models.UniqueConstraint(
                fields=["conversation", "answers_seq", "part"],
                condition=Q(answers_seq__isnull=False) & ~Q(delivery_status="draft"),
                name="one_answer_per_burst",
            ),
        ]
        indexes = [
            models.Index(fields=["external_id"], condition=~Q(external_id=""), name="message_external_id"),
            models.Index(fields=["conversation", "seq"], condition=Q(outcome="waiting"), name="message_waiting"),
            models.Index(
                fields=["channel_account", "id"], condition=Q(delivery_status="pending"), name="message_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_author_display()} {self.conversation_id}/{self.seq}"


class MediaState(models.TextChoices):
    """How far a file has come that a contact sent."""

    WAITING = "waiting", _("waiting")  # at the provider; a job will fetch it
    STORED = "stored", _("stored")
    REFUSED = "refused", _("refused")  # too large, of a kind that is not kept, or not where it may be fetched from
    LOST = "lost", _("lost")  # the provider does not have it
    DELETED = "deleted", pgettext_lazy("file", "deleted")  # by retention, or with its contact


class Media(models.Model):
    """A file that came with a message or goes with it."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="media", verbose_name=_("message"))
    position = models.PositiveSmallIntegerField(_("position"))
    content_type = models.CharField(_("type"), max_length=100, blank=True)
    source_url = models.CharField(_("where it lies"), max_length=1000, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=MediaState.choices, default=MediaState.WAITING)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    file = models.FileField(_("file"), upload_to=media_path, max_length=200, blank=True)
    size = models.PositiveBigIntegerField(_("size (bytes)"), null=True)
    transcript = models.TextField(_("transcript"), blank=True, help_text=_("what was said in it"))
    stored_at = models.DateTimeField(_("stored at"), null=True)

    class Meta:
        verbose_name = _("media")
        verbose_name_plural = _("media")
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["message", "position"], name="one_media_per_position")]
        indexes = [
            models.Index(fields=["stored_at"], condition=Q(state="stored"), name="media_stored"),
        ]

    def __str__(self) -> str:
        return f"{self.content_type} {self.message_id}/{self.position}"
