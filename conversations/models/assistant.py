"""Who answers when no person does, what it may do, and what it has cost."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from conversations.secrets import EncryptedTextField

from .conversation import Conversation
from .message import Message
from .workspace import Workspace, languages


class Assistant(models.Model):
    """An AI assistant of a workspace. What is left empty is as the settings say."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="assistants", verbose_name=_("workspace"))
    name = models.CharField(_("name"), max_length=100)
    instructions = models.TextField(_("instructions"), blank=True)
    model = models.CharField(_("model"), max_length=100, blank=True, help_text=_("provider:model; empty: AI_MODEL"))
    fallback_model = models.CharField(
        _("second model"), max_length=100, blank=True, help_text=_("asked when the first one cannot answer")
    )
    temperature = models.FloatField(
        _("temperature"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(2)]
    )
    language = models.CharField(
        _("language"), max_length=10, choices=languages, blank=True, help_text=_("empty: the contact's own")
    )
    tools = models.JSONField(_("tools"), default=list, blank=True, help_text=_("names of the tools that it may use"))
    memory = models.PositiveSmallIntegerField(_("messages that it is shown"), default=20)

    class Meta:
        verbose_name = _("assistant")
        verbose_name_plural = _("assistants")
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="one_assistant_per_name")]

    def __str__(self) -> str:
        return self.name


class HttpTool(models.Model):
    """A tool of the workspace's own: a web address that an assistant may ask."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="http_tools", verbose_name=_("workspace"))
    name = models.SlugField(_("name"), max_length=50)
    description = models.TextField(_("description"), help_text=_("tells the model when to use it"))
    method = models.CharField(_("method"), max_length=4, choices=[("GET", "GET"), ("POST", "POST")], default="GET")
    url = models.URLField(_("address"), max_length=500, help_text=_("https; nothing else is ever asked"))
    authorization = EncryptedTextField(
        _("authorization"), blank=True, help_text=_("the header of that name; the model never sees it")
    )
    schema = models.JSONField(_("parameters"), default=dict, help_text=_("JSON Schema of an object"))

    class Meta:
        verbose_name = _("HTTP tool")
        verbose_name_plural = _("HTTP tools")
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="one_tool_per_name")]

    def __str__(self) -> str:
        return self.name


class Usage(models.Model):
    """What one call of a model may cost, written before it, and what it did cost, written after it."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="usage", verbose_name=_("workspace"))
    conversation = models.ForeignKey(
        Conversation, models.SET_NULL, null=True, related_name="usage", verbose_name=_("conversation")
    )
    message = models.ForeignKey(Message, models.SET_NULL, null=True, related_name="usage", verbose_name=_("answer"))
    purpose = models.CharField(_("purpose"), max_length=20)  # answer, summary, transcription
    model = models.CharField(_("model"), max_length=100)
    input_tokens = models.PositiveIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveIntegerField(_("output tokens"), default=0)
    cost = models.DecimalField(_("cost (USD)"), max_digits=12, decimal_places=6)
    settled = models.BooleanField(_("settled"), default=False, help_text=_("until then the cost is what was reserved"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        indexes = [models.Index(fields=["workspace", "at"], name="usage_by_workspace")]

    def __str__(self) -> str:
        return f"{self.model} {self.at:%Y-%m-%d}"
