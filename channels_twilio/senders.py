"""Which of our addresses a message is for."""

from __future__ import annotations

from django.db import transaction

from conversations.models import ChannelAccount

from .models import CHANNEL, TwilioAccount, TwilioSender
from .payloads import Destination


def channel_account_for(destination: Destination, *, account: TwilioAccount) -> ChannelAccount:
    """The channel account that `destination` belongs to: by its address, else by its Messaging Service, else a new one.

    A message that Twilio signed for an account of ours is never turned away: a number that was bought, or moved between
    two Twilio accounts of the workspace, after the setup is tied to `account` when it first receives something. Safe
    when two such messages come at once.
    """
    ours = ChannelAccount.objects.filter(twilio_sender__account=account, medium=destination.medium)
    ours = ours.select_related("workspace").order_by("pk")
    found = ours.filter(address=destination.address).first()
    if found is None and destination.messaging_service_sid:
        found = ours.filter(twilio_sender__messaging_service_sid=destination.messaging_service_sid).first()
    return found or _add(destination, account)


def _add(destination: Destination, account: TwilioAccount) -> ChannelAccount:
    with transaction.atomic():
        channel_account, _ = ChannelAccount.objects.get_or_create(
            workspace_id=account.workspace_id,
            channel=CHANNEL,
            medium=destination.medium,
            address=destination.address,
        )
        TwilioSender.objects.update_or_create(channel_account=channel_account, defaults={"account": account})
    return channel_account
