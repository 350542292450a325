"""The labels and signs for templates: `{% load transcript %}`."""

from __future__ import annotations

from django import template

from conversations.labels import kind_label, outcome_label, state_label, tick

register = template.Library()
register.filter("kind_label", kind_label)
register.filter("outcome_label", outcome_label)
register.filter("state_label", state_label)
register.filter("tick", tick)
