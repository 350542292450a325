"""Ties a Twilio account and its senders to a workspace; done again, it changes nothing."""

from __future__ import annotations

import re

from django.utils.translation import gettext_noop

from conversations.models import ChannelAccount, Medium, Workspace

from .models import CHANNEL, TwilioAccount, TwilioSender

ADDRESS = re.compile(r"(whatsapp:)?(\+\d{6,15}|\d{3,8})")  # an E.164 number, or a short code


def parse_sender(text: str) -> tuple[Medium, str]:
    """A sender as Twilio writes it, `whatsapp:+14155238886`. Raises ValueError when it is none."""
    match = ADDRESS.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is neither whatsapp:+14155238886 nor +15005550006 in form")
    return (Medium.WHATSAPP if match[1] else Medium.SMS), match[2]


def connect_account(workspace: Workspace, account_sid: str, auth_token: str) -> tuple[TwilioAccount, str]:
    """The account, and what was done, as an English msgid: `connected`, `token changed`, or nothing."""
    account, created = TwilioAccount.objects.get_or_create(
        account_sid=account_sid, defaults={"workspace": workspace, "auth_token": auth_token}
    )
    if created:
        return account, gettext_noop("connected")
    if account.auth_token == auth_token:
        return account, ""
    account.auth_token = auth_token  # also where the stored one cannot be read, after a change of SECRET_KEY
    account.save(update_fields=["auth_token"])
    return account, gettext_noop("token changed")


def connect_sender(account: TwilioAccount, medium: Medium, address: str, service_sid: str = "") -> TwilioSender | None:
    """The sender, where it was not connected yet.

    Args:
        service_sid: of the messaging service that sends for it; empty: it is left as it is.
    """
    channel_account, _ = ChannelAccount.objects.get_or_create(
        channel=CHANNEL, medium=medium, address=address, workspace=account.workspace
    )
    service = {"messaging_service_sid": service_sid} if service_sid else {}
    sender, created = TwilioSender.objects.update_or_create(
        channel_account=channel_account, defaults={"account": account} | service
    )
    return sender if created else None
