"""The contract suite on every backend that ships. The ledger is the database of the test run: SQLite or PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stand_ins.servers import SQS, Valkey

from .carriers import RedisCarrier, SqsCarrier
from .contract import BackendContract, CarrierContract


class TestDatabase(BackendContract):
    @pytest.fixture
    def queue_url(self) -> str:
        return "database://"


class TestSpool(BackendContract):
    """A backend of another project, named in `QUEUE_BACKENDS`."""

    @pytest.fixture
    def queue_url(self, tmp_path: Path) -> str:
        (tmp_path / "spool").mkdir()
        return f"spool://{tmp_path}/spool"


class TestRedis(CarrierContract):
    @pytest.fixture
    def carrier(self, valkey_server: Valkey) -> RedisCarrier:
        return RedisCarrier(valkey_server)


class TestSqs(CarrierContract):
    @pytest.fixture
    def carrier(self, sqs_server: SQS, monkeypatch: pytest.MonkeyPatch) -> SqsCarrier:
        for name, value in sqs_server.env.items():
            monkeypatch.setenv(name, value)
        return SqsCarrier(sqs_server)
