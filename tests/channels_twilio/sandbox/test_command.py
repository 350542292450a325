"""`manage.py twilio_twin` as an operator meets it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from tests.stand_ins.receiver import Receiver
from tests.stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, SMS, eventually, running_twin


@pytest.fixture
def sandbox(settings: LazySettings) -> None:
    settings.SANDBOX = True
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.TWILIO_FROM = ACCOUNT_SID, AUTH_TOKEN, [SMS]


def test_it_refuses_to_run_outside_the_sandbox() -> None:
    with pytest.raises(CommandError, match="runs only in the sandbox: set SANDBOX=1"):
        call_command("twilio_twin")


@pytest.mark.usefixtures("sandbox")
def test_it_refuses_to_run_without_an_account(settings: LazySettings) -> None:
    settings.TWILIO_AUTH_TOKEN = ""

    with pytest.raises(CommandError, match="needs TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM"):
        call_command("twilio_twin")


@pytest.mark.usefixtures("sandbox")
def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"^Port {port} is in use: [^\\n]*$"):
            call_command("twilio_twin", port=port)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("script", ["[oops", "/no/such/file.json"])
def test_a_bad_fault_script_is_one_clear_line(script: str) -> None:
    with pytest.raises(CommandError, match=r"^The fault script cannot be understood: [^\n]*$"):
        call_command("twilio_twin", faults=script)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_with_work_ahead_and_has_touched_nothing_of_the_product(
    shared_receiver: Receiver, tmp_path: Path, by: signal.Signals
) -> None:
    database = tmp_path / "product.sqlite3"
    with running_twin(
        public_base_url=shared_receiver.url,
        journal=tmp_path / "twin.sqlite3",
        pace=60,
        env={"DATABASE_URL": f"sqlite:///{database}"},
    ) as twin:
        twin.client().messages.create(to="+15550108888", from_=SMS, body="hi")

        assert twin.stop(by) == 0
        assert twin.log.read_text() == ""
    assert not database.exists()


def test_a_twin_that_was_killed_goes_on_where_it_stopped(receiver: Receiver, tmp_path: Path) -> None:
    journal = tmp_path / "twin.sqlite3"
    with running_twin(public_base_url=receiver.url, journal=journal, pace=60) as slow:
        slow.client().messages.create(
            to="+15550108888", from_=SMS, body="hi", status_callback=f"{receiver.url}/status/"
        )
        slow.stop(signal.SIGKILL)

    with running_twin(public_base_url=receiver.url, journal=journal, port=slow.port) as fast:
        eventually(lambda: fast.sent("+15550108888")[0]["status"] == "delivered")
    assert [request.params["MessageStatus"] for request in receiver.at("/status/")] == ["sent", "delivered"]
