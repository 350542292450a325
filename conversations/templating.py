"""Approved texts: what is filled into one, and how it reads then."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .models import Conversation, Template

_PLACEHOLDER = re.compile(r"{{\s*(\w+)\s*}}")


def fill(template: Template, conversation: Conversation) -> dict[str, str]:
    """The values of the template's variables for this conversation.

    A value of `contact_name` or `workspace_name` stands for that name; any other for itself. One that would be empty is
    left out, so that the provider fills in the sample that was approved. Line breaks and runs of spaces, which
    WhatsApp refuses, become single spaces.
    """
    known = {"contact_name": conversation.contact.name, "workspace_name": conversation.workspace.name}
    values = {name: " ".join(str(known.get(value, value)).split()) for name, value in template.variables.items()}
    return {name: value for name, value in values.items() if value}


def placeholders(body: str) -> set[str]:
    """The names of the variables in a template's text."""
    return set(_PLACEHOLDER.findall(body))


def render(template: Template, variables: Mapping[str, str]) -> str:
    """The text as the contact reads it; a placeholder without a value stays as it is."""
    return _PLACEHOLDER.sub(lambda match: variables.get(match[1], match[0]), template.body)
