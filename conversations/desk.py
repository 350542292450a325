"""The operators' desk below a conversation in the admin: reply, note, assign to oneself, give back, close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from . import lifecycle, operators
from .models import OPEN_STATES, CannedReply, Conversation, State

WITH_WORDS = ("reply", "note")
WITHOUT_WORDS: dict[str, Callable[..., None]] = {"release": operators.release, "close": operators.close}


def shown(conversation: Conversation) -> dict[str, Any]:
    """What the desk's template needs."""
    return {
        "is_open": conversation.state in OPEN_STATES,
        "is_with_person": conversation.state == State.HUMAN,
        "canned_replies": CannedReply.objects.filter(workspace=conversation.workspace_id).order_by("shortcut"),
    }


@require_POST
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Do what the pressed button says, and show the conversation again.

    Raises PermissionDenied to those who may not change conversations.
    """
    if not request.user.has_perm("conversations.change_conversation"):
        raise PermissionDenied
    conversation = get_object_or_404(Conversation, pk=pk)
    step, text = request.POST.get("step", ""), request.POST.get("text", "").strip()
    if step not in (*WITH_WORDS, *WITHOUT_WORDS, "assign"):
        return HttpResponseBadRequest()
    if step in WITH_WORDS and not text:
        messages.error(request, gettext("Write something first."))
    else:
        try:
            _do(request, conversation, step, text)
        except lifecycle.NotAllowed:
            messages.error(request, gettext("The conversation has changed meanwhile: this cannot be done any more."))
    return redirect("admin:conversations_conversation_change", pk)


def _do(request: HttpRequest, conversation: Conversation, step: str, text: str) -> None:
    who: dict[str, Any] = {"by": request.user, "now": timezone.now()}
    if step == "reply":
        if not operators.reply(conversation.pk, text, **who):
            messages.warning(request, gettext("The contact wrote too long ago for free text: it is kept as a draft."))
    elif step == "note":
        operators.note(conversation.pk, text, **who)
    elif step == "assign":
        operators.assign(conversation.pk, who["by"], **who)
    else:
        WITHOUT_WORDS[step](conversation.pk, **who)
