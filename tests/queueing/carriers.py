"""The carriers of rings, in the hands of the contract suite."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
from redis import Redis

from tests.stand_ins.servers import SQS, Valkey

from .contract import Carrier


class RedisCarrier(Carrier):
    """A ring is an id in RQ's list of the lane; RQ's hash of the same id describes it."""

    LANE = "rq:queue:default"

    def __init__(self, server: Valkey) -> None:
        self.server = server
        self.url = server.url
        self.redis = Redis.from_url(server.url, decode_responses=True)

    def prepare(self) -> None:
        self.redis.flushall()

    def take(self) -> list[str]:
        return self.redis.lpop(self.LANE, 10_000) or []

    def put(self, *rings: str) -> None:
        self.redis.rpush(self.LANE, *rings)

    def everything(self) -> str:
        raw = Redis.from_url(self.url)
        return "\n".join(str(raw.dump(key)) for key in raw.scan_iter())


class SqsCarrier(Carrier):
    """A ring is a message in the lane's queue. Each carrier has queues of its own: SQS purges one a minute at most."""

    def __init__(self, server: SQS) -> None:
        self.server = server
        self.prefix = f"{uuid.uuid4().hex}-"
        self.url = f"sqs://eu-west-1?endpoint_url={server.endpoint}&prefix={self.prefix}"
        self.sqs: Any = boto3.client("sqs", region_name="eu-west-1", endpoint_url=server.endpoint)

    def prepare(self) -> None:
        made = self.sqs.create_queue(QueueName=f"{self.prefix}default", Attributes={"MessageRetentionPeriod": "300"})
        self.queue = made["QueueUrl"]
        self.take()

    def take(self) -> list[str]:
        taken: list[str] = []
        while messages := self._look():
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                taken.append(message["Body"])
        return taken

    def put(self, *rings: str) -> None:
        for ring in rings:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=ring)

    def everything(self) -> str:
        queue = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["All"])
        return json.dumps([queue, self._look()])

    def _look(self) -> list[dict[str, Any]]:
        """Ten messages at most, which stay where they are."""
        found: list[dict[str, Any]] = self.sqs.receive_message(
            QueueUrl=self.queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        return found
