"""What Twilio is to call: the addresses that an operator pastes into its console, or that `twilio_setup` sets."""

from __future__ import annotations

from django.conf import settings

# Five retries, on every failure; without it a request is lost while we restart. Not part of the signed URL.
# https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
OVERRIDES = "rc=5&rp=all&ct=2000&rt=4000"


def inbound_url() -> str:
    """Where messages come in. The fallback URL is the same: a message that comes by both is stored once."""
    return f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/inbound/#{OVERRIDES}"


def status_url(query: str = "") -> str:
    """Where Twilio tells what became of a message.

    Args:
        query: `?` and the id of the message, where it is known.
    """
    return f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/status/{query}#{OVERRIDES}"
