"""Which of our addresses a message is for."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Case, Q, Value, When

from conversations.models import ChannelAccount

from .models import CHANNEL, TwilioAccount, TwilioSender
from .payloads import Destination


def channel_account_for(destination: Destination, *, account: TwilioAccount) -> ChannelAccount:
    """The channel account that `destination` belongs to: by its address, else by its Messaging Service, else a new one.

    A message that Twilio signed for an account of ours is never turned away: a number that was bought, or moved between
    two Twilio accounts of the workspace, after the setup is tied to `account` when it first receives something. Safe
    when two such messages come at once.
    """
    by_address = Q(channel_account__medium=destination.medium, channel_account__address=destination.address)
    by_service = (
        Q(messaging_service_sid=destination.messaging_service_sid, channel_account__medium=destination.medium)
        if destination.messaging_service_sid
        else Q(pk__in=[])
    )
    sender = (
        TwilioSender.objects.filter(by_address | by_service, account=account)
        .select_related("channel_account")
        .order_by(Case(When(by_address, then=Value(0)), default=Value(1)), "pk")
        .first()
    )
    return sender.channel_account if sender else _add(destination, account)


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
