"""Brings back the messages whose webhook never got through: Twilio calls for 15 seconds, but lists for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from twilio.base.exceptions import TwilioException, TwilioRestException

from conversations import inbox
from conversations.models import Message
from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Defer, Retry
from queueing.periodic import periodic
from queueing.tasks import task

from .channel import UNPARSABLE
from .client import Credentials, client
from .client import Unreadable as Sealed
from .models import CHANNEL, TwilioAccount
from .payloads import Unreadable, listed_params, to_destination, to_inbound
from .senders import channel_account_for
from .transport import Transport

logger = logging.getLogger(__name__)

SETTLED = timedelta(minutes=1)  # the webhooks of younger messages may still be on their way
OVERLAP = timedelta(minutes=5)  # of two runs: a message may be listed later than it was sent
LOOK_BACK = timedelta(hours=1)  # at an account that has never been looked at
WINDOW = timedelta(minutes=15)  # listed as a whole, so that its messages are stored in order; longer than OVERLAP
PAGE = 1000  # messages; the most that Twilio gives at once
UNTIL_PUT_RIGHT = timedelta(minutes=15)  # for credentials that Twilio refuses, or that cannot be read
RESERVE_SECONDS = 60  # the next run goes on where this one had no time left

Outside = Callable[[], AbstractContextManager[float]]  # wraps a call; gives the seconds that it may take


class NotListed(Exception):
    """Twilio could not be asked, or did not answer as it does."""


class NotAllowed(NotListed):
    """The account's credentials do not open its list. A person must put them right."""


@dataclass(slots=True)
class Tally:
    """Inbound messages in Twilio's list: how many there are, and how many of them were missing here."""

    found: int = 0
    stored: int = 0

    @property
    def known(self) -> int:
        return self.found - self.stored

    def __iadd__(self, other: Tally) -> Tally:
        self.found += other.found
        self.stored += other.stored
        return self


@periodic(every=timedelta(seconds=settings.RECONCILE_INTERVAL_SECONDS))
@task(queue_name="maintenance")
def reconcile_inbound() -> None:
    """A job for each Twilio account, so that one that fails holds up no other."""
    for account_id, workspace_id in TwilioAccount.objects.order_by("pk").values_list("pk", "workspace_id"):
        reconcile_account.using(
            ordering_key=f"reconcile:{account_id}",
            unique_key=f"reconcile:{account_id}",
            fairness_key=f"workspace:{workspace_id}",
            subject=f"twilio account:{account_id}",
        ).enqueue(account_id=account_id)


@task(
    takes_context=True,
    queue_name="maintenance",
    timeout=timedelta(minutes=5),
    max_attempts=20,  # about an hour; a run that waits for the next attempt takes the place of the next run
    backoff=Backoff(base=timedelta(seconds=10), maximum=timedelta(minutes=5)),
)
def reconcile_account(context: JobContext, account_id: int) -> None:
    """Look for what is missing since the last run, and store it. What there is no time for is left to the next run.

    Where the credentials must be put right first, that is alerted once, and this run waits, uncharged.
    """
    try:
        _catch_up(context, TwilioAccount.objects.get(pk=account_id))
    except NotAllowed as error:
        if context.job.reason != str(error):  # that of the last attempt of this run
            logger.error("Twilio account %s: messages whose webhook is lost stay lost: %s", account_id, error)
        raise Defer(str(error), after=UNTIL_PUT_RIGHT) from None
    except NotListed as error:
        raise Retry(str(error)) from None


def _catch_up(context: JobContext, account: TwilioAccount) -> None:
    credentials, now = _credentials(account), timezone.now()
    if account.reconciled_until is None:
        logger.info("Twilio account %s is looked at for the first time: %s back", account.pk, LOOK_BACK)
    since = account.reconciled_until - OVERLAP if account.reconciled_until else now - LOOK_BACK
    for start, end in windows(since, now - SETTLED):
        tally = reconcile_window(account, credentials, start, end, outside=context.outside)
        if tally.stored:
            logger.warning("%d of %d messages had come by no webhook", tally.stored, tally.found)
        with context.fenced():
            unseen = Q(reconciled_until=None) | Q(reconciled_until__lt=end)
            TwilioAccount.objects.filter(unseen, pk=account.pk).update(reconciled_until=end)
        if context.remaining() < RESERVE_SECONDS:
            return


def windows(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut that time into pieces of WINDOW, the first first."""
    while since < until:
        end = min(since + WINDOW, until)
        yield since, end
        since = end


def reconcile_window(
    account: TwilioAccount, credentials: Credentials, start: datetime, end: datetime, *, outside: Outside
) -> Tally:
    """Store the messages to `account` that were sent between the two moments and are not here.

    Raises NotListed; what was stored by then stays, and is known the next time.
    """
    with outside() as seconds:
        listed = [message for message in _list(credentials, start, end, seconds) if start <= _sent_at(message) < end]
    known = _known(account, listed)
    missing = [message for message in listed if message.sid not in known]
    tally = Tally(found=len(listed))
    for message in sorted(missing, key=_sent_at):
        files: list[tuple[str, str]] = []
        if message.num_media not in (None, "0"):
            with outside() as seconds:
                files = _files(credentials, message, seconds)
        tally.stored += _store(account, message, files)
    return tally


def _credentials(account: TwilioAccount) -> Credentials:
    try:
        return Credentials.of(account)
    except Sealed as error:
        raise NotAllowed(str(error)) from None


def _list(credentials: Credentials, start: datetime, end: datetime, seconds: float) -> list[Any]:
    """Inbound messages, the newest last. Twilio does not filter by direction; an inbound message has a DateSent."""
    transport = Transport(timeout=seconds)
    api = client(credentials, transport)
    second = timedelta(seconds=1)  # Twilio's times are cut to whole ones
    found = []
    try:
        page = api.messages.page(date_sent_after=start - second, date_sent_before=end + second, page_size=PAGE)
        while page:
            found += [message for message in page if message.direction == "inbound"]
            page = page.next_page()
    except (httpx.TransportError, TwilioException, *UNPARSABLE) as error:
        if transport.answer is not None and transport.answer.status_code in (401, 403):
            raise NotAllowed(f"Twilio refuses the account's credentials: {transport.answer.status_code}") from None
        raise NotListed(f"Twilio cannot be asked: {type(error).__name__}") from None
    return found[::-1]


def _known(account: TwilioAccount, listed: list[Any]) -> set[str]:
    named = Q(external_id__in=[message.sid for message in listed]) & ~Q(external_id="")
    ours = Q(channel_account__workspace=account.workspace_id, channel_account__channel=CHANNEL)
    return set(Message.objects.filter(named & ours).values_list("external_id", flat=True))


def _files(credentials: Credentials, message: Any, seconds: float) -> list[tuple[str, str]]:
    """Pairs of content type and URL, as the webhook would have named them. Empty where Twilio has them no more."""
    api = client(credentials, Transport(timeout=seconds))
    try:
        files = api.messages(message.sid).media.list(limit=10)
        return [(file.content_type, api.api.absolute_url(file.uri.removesuffix(".json"))) for file in files]
    except (httpx.TransportError, TwilioException, *UNPARSABLE) as error:
        if isinstance(error, TwilioRestException) and error.status == 404:
            return []
        raise NotListed(f"Twilio cannot be asked for files: {type(error).__name__}") from None


def _store(account: TwilioAccount, message: Any, files: list[tuple[str, str]]) -> bool:
    """The way that a webhook takes. False where the message has come meanwhile, or is none that we could take."""
    params = listed_params(message, files)
    try:
        inbound, destination = to_inbound(params), to_destination(params)
    except Unreadable as error:
        logger.warning("a message in Twilio's list cannot be taken: %s", error)
        return False
    channel_account = channel_account_for(destination, account=account)
    # Without `raw`, which only a webhook has: one that comes later still tells what the list does not.
    inbound = replace(inbound, raw={}, sent_at=_sent_at(message))
    return inbox.receive(inbound, account=channel_account, now=timezone.now()) is not None


def _sent_at(message: Any) -> datetime:
    sent_at: datetime = message.date_sent or message.date_created
    return sent_at
