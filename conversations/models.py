"""What is kept of a conversation. Provider words stay out: an address has a medium, a message has a kind."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


def languages() -> list[tuple[str, str]]:
    """Those that the product's own words are translated into."""
    return settings.LANGUAGES


class Workspace(models.Model):
    """The tenant: everything below belongs to exactly one."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("slug"), unique=True)
    locale = models.CharField(
        _("language"), max_length=10, default="en", choices=languages, help_text=_("in which contacts are written to")
    )
    instructions = models.TextField(_("instructions for the assistant"), blank=True)
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
    paused_reason = models.CharField(_("paused because"), max_length=300, blank=True)

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
                condition=Q(state__in=["pending", "in_progress", "human_handoff", "idle"]),
                name="conversation_quiet",
            ),
            models.Index(fields=["workspace", "-last_message_at"], name="conversation_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.contact} #{self.pk}"

    def take_seq(self, now: datetime, *, inbound: bool = False) -> int:
        """The next message's number. The row must be locked, so that numbers follow the order of the commits."""
        seq = self.next_seq
        self.next_seq = seq + 1
        self.last_message_at = now
        if inbound:
            self.last_inbound_at = now
        self.save(update_fields=["next_seq", "last_message_at", "last_inbound_at"])
        return seq


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
    created_at = models.DateTimeField(_("created at"))
    sending_since = models.DateTimeField(_("sending since"), null=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    raw = models.JSONField(_("as received"), default=dict, blank=True)

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
        ]

    def __str__(self) -> str:
        return f"{self.get_author_display()} {self.conversation_id}/{self.seq}"


class Media(models.Model):
    """A file that came with a message or goes with it."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="media", verbose_name=_("message"))
    position = models.PositiveSmallIntegerField(_("position"))
    content_type = models.CharField(_("type"), max_length=100, blank=True)
    source_url = models.CharField(_("where it lies"), max_length=1000)

    class Meta:
        verbose_name = _("media")
        verbose_name_plural = _("media")
        constraints = [models.UniqueConstraint(fields=["message", "position"], name="one_media_per_position")]

    def __str__(self) -> str:
        return f"{self.content_type} {self.message_id}/{self.position}"


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
