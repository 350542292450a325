"""Content templates, as Twilio keeps and fills them: https://www.twilio.com/docs/content."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from .errors import TwilioError


@dataclass(frozen=True, slots=True)
class ContentTemplate:
    """`defaults` stand where a send names no value for a variable."""

    sid: str
    name: str
    language: str
    body: str
    defaults: dict[str, str] = field(default_factory=dict)


TEMPLATES = (
    ContentTemplate(
        "HX" + "0" * 31 + "1",
        "we_have_an_answer",
        "en",
        "Hello {{1}}! You asked us something a while ago. Shall we go on?",
        {"1": "there"},
    ),
    ContentTemplate(
        "HX" + "0" * 31 + "2",
        "temos_uma_resposta",
        "pt_BR",
        "Olá, {{1}}! Você nos perguntou algo há algum tempo. Vamos continuar?",
        {"1": "tudo bem"},
    ),
)


def find(sid: str) -> ContentTemplate:
    """Raises TwilioError when the account has no such template."""
    for template in TEMPLATES:
        if template.sid == sid:
            return template
    raise TwilioError(21655, f"The ContentSid {sid} is invalid")


def render(sid: str, variables: str) -> str:
    """The template's text with its variables filled in.

    Args:
        variables: a JSON object of texts, or empty.

    Raises TwilioError when Twilio would refuse them.
    """
    template = find(sid)
    try:
        given = json.loads(variables or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) and value for value in given.values()):
        raise TwilioError(21656, "The ContentVariables Parameter is invalid")
    values = template.defaults | given
    return re.sub(r"{{(\w+)}}", lambda found: values.get(found[1], found[0]), template.body)


def content_json(template: ContentTemplate, account_sid: str, base_url: str) -> dict[str, Any]:
    return {
        "sid": template.sid,
        "account_sid": account_sid,
        "friendly_name": template.name,
        "language": template.language,
        "variables": template.defaults,
        "types": {"twilio/text": {"body": template.body}},
        "url": f"{base_url}/v1/Content/{template.sid}",
        "links": {},
        "date_created": "2026-01-01T00:00:00Z",
        "date_updated": "2026-01-01T00:00:00Z",
    }
