"""`sqs://REGION?endpoint_url=…&prefix=…`: Amazon SQS, or a server that speaks it, carries the rings.

One standard queue per lane, `<prefix><queue_name>`. A message is `{"job": 42}` and nothing else. It is deleted as soon
as it is read: the ledger remembers the job, so no receipt handle, visibility timeout or delay of SQS is relied on.
Credentials are found as every AWS client finds them.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import SplitResult, parse_qs

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from django.core.exceptions import ImproperlyConfigured

from queueing.errors import BackendUnavailable

from .base import Backend
from .breaker import Breaker, Patience, named

logger = logging.getLogger(__name__)

RING_SECONDS = 0.2  # to connect, and to be answered, while an enqueue waits
LISTEN_SECONDS = 5.0
POLL_SECONDS = 20  # the longest that SQS offers; an idle lane costs three requests a minute
BATCH = 10  # SQS's own limit. More rings at once wake nobody more: who is awake takes what is ready
SLICE_SECONDS = 0.1  # how soon an idle listener notices that it is to end
ATTRIBUTES = {"MessageRetentionPeriod": "300"}  # a ring that nobody hears for so long has been made up for
RING = re.compile(r'\{"job": ?[0-9]{1,19}\}')  # no parser, which could be led astray
MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

AwayErrors = (BotoCoreError, ClientError)


class SqsBackend(Backend):
    """Each ring wakes one worker."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__(url)
        options = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.endpoint = options.pop("endpoint_url", None)
        self.prefix = options.pop("prefix", "")
        if not url.netloc or url.path.strip("/") or options:
            raise ImproperlyConfigured(
                "QUEUE_URL must be like sqs://eu-west-1?endpoint_url=http://host:port&prefix=name-"
            )
        self.carrier = f"SQS in {url.netloc}"
        self.breaker = Breaker(self.carrier)
        self.client = self._connect(RING_SECONDS)
        self.queue_urls: dict[str, str] = {}

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        if not self.breaker.allows():
            return
        entries = [{"Id": str(n), "MessageBody": json.dumps({"job": pk})} for n, pk in enumerate(job_ids[:BATCH])]
        try:
            self.client.send_message_batch(QueueUrl=self._queue_url(queue_name), Entries=entries)
        except AwayErrors as error:
            self.queue_urls.pop(queue_name, None)  # it may have been deleted, and made again
            self.breaker.failed(error)
        else:
            self.breaker.succeeded()

    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        """A thread for each lane, since a long poll asks one queue. They end with the process, or after their poll."""
        client = self._connect(POLL_SECONDS + LISTEN_SECONDS, connections=len(queue_names))
        for name in queue_names:
            threading.Thread(
                target=self._hear, args=(client, name, wake, until), name=f"sqs {name}", daemon=True
            ).start()
        while not until():
            time.sleep(SLICE_SECONDS)

    def check(self) -> None:
        try:
            self.client.get_queue_url(QueueName=f"{self.prefix}default")
        except NoCredentialsError as error:
            raise BackendUnavailable(
                f"{self.carrier}: no AWS credentials are found; set AWS_ACCESS_KEY_ID …"
            ) from error
        except ClientError as error:
            hint = "start a worker, which makes it" if _is_missing(error) else "correct the permissions or QUEUE_URL"
            raise BackendUnavailable(f"{self.carrier}: {self.prefix}default: {_code(error)}; {hint}") from error
        except BotoCoreError as error:
            raise BackendUnavailable(f"{self.carrier} does not answer ({named(error)})") from error

    def _hear(self, client: Any, queue_name: str, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        patience = Patience(f"{self.carrier}, {self.prefix}{queue_name}", until=until)
        queue_url = None
        while not until():
            try:
                queue_url = queue_url or self._make(client, queue_name)
                found = client.receive_message(
                    QueueUrl=queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=POLL_SECONDS
                )
                patience.restored()
                if messages := found.get("Messages"):
                    wake()
                    self._remove(client, queue_url, messages)
            except AwayErrors as error:
                queue_url = None
                patience.wait(error)

    def _remove(self, client: Any, queue_url: str, messages: list[dict[str, str]]) -> None:
        """Whatever they are: what is no ring would come again and again."""
        unreadable = sum(not RING.fullmatch(message["Body"]) for message in messages)
        if unreadable:
            logger.warning("%s messages in %s were no rings: deleted", unreadable, queue_url)
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        client.delete_message_batch(QueueUrl=queue_url, Entries=entries)

    def _make(self, client: Any, queue_name: str) -> str:
        """The lane's queue, made where it is missing. Its URL."""
        name = f"{self.prefix}{queue_name}"
        try:
            url: str = client.get_queue_url(QueueName=name)["QueueUrl"]
        except ClientError as error:
            if not _is_missing(error):
                raise
            url = client.create_queue(QueueName=name, Attributes=ATTRIBUTES)["QueueUrl"]
        return url

    def _queue_url(self, queue_name: str) -> str:
        """As the last ring found it."""
        if queue_name not in self.queue_urls:
            found = self.client.get_queue_url(QueueName=f"{self.prefix}{queue_name}")
            self.queue_urls[queue_name] = found["QueueUrl"]
        return self.queue_urls[queue_name]

    def _connect(self, read_seconds: float, connections: int = 10) -> Any:
        """A client that tries once: whoever may wait tries again himself."""
        config = Config(
            connect_timeout=min(read_seconds, LISTEN_SECONDS),
            read_timeout=read_seconds,
            retries={"total_max_attempts": 1},
            max_pool_connections=connections,
        )
        session = boto3.session.Session(region_name=self.url.netloc)
        return session.client("sqs", endpoint_url=self.endpoint, config=config)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_missing(error: ClientError) -> bool:
    return _code(error) in MISSING
