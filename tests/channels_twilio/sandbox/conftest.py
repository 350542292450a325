from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand_ins.receiver import Receiver, running_receiver
from tests.stand_ins.twin import TwinProcess, running_twin


@pytest.fixture(scope="module")
def shared_receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def twin(shared_receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinProcess]:
    """One process for a module: a test keeps to contacts of its own."""
    journal: Path = tmp_path_factory.mktemp("twin") / "journal.sqlite3"
    with running_twin(public_base_url=shared_receiver.url, journal=journal) as twin:
        yield twin


@pytest.fixture
def receiver(shared_receiver: Receiver, twin: TwinProcess) -> Iterator[Receiver]:
    """The product's place, empty and well."""
    shared_receiver.requests.clear()
    yield shared_receiver
    shared_receiver.statuses.clear()
    shared_receiver.delay = 0
    twin.play([])


_numbers = itertools.count(15550200000)


@pytest.fixture
def number() -> str:
    """Of a contact that no other test knows."""
    return f"+{next(_numbers)}"
