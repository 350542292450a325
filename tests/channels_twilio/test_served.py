"""The webhooks behind the real server: URLs as they are on the wire, and a database that cannot be reached."""

from __future__ import annotations

import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from django.http import QueryDict
from twilio.request_validator import RequestValidator

from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, FORM, INBOUND, STATUS, message

PREPARE = f"""
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from channels_twilio.models import TwilioAccount
from conversations.models import Workspace
workspace = Workspace.objects.create(name="Clinic", slug="clinic")
TwilioAccount.objects.create(workspace=workspace, account_sid="{ACCOUNT_SID}", auth_token="{AUTH_TOKEN}")
"""


class Server:
    """A gunicorn with the product in it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def post(self, target: str, params: dict[str, str], signed_url: str = "") -> tuple[int, dict[str, str], float]:
        """Send `target` exactly as given. Returns status, headers and seconds."""
        body = urlencode(params)
        signature = RequestValidator(AUTH_TOKEN).compute_signature(signed_url or self.url + target, QueryDict(body))
        started = time.monotonic()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("POST", target, body, {"Content-Type": FORM, "X-Twilio-Signature": signature})
            response = connection.getresponse()
            response.read()
            return response.status, dict(response.headers), time.monotonic() - started


@contextmanager
def serving(env: dict[str, str]) -> Iterator[Server]:
    with socket.socket() as listener:  # inherited by gunicorn, so no other process can take the port in between
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "project.wsgi", "--bind", f"fd://{listener.fileno()}"),
                *(
                    "--workers",
                    "1",
                    "--threads",
                    "4",
                    "--log-level",
                    "warning",
                    "--no-control-socket",
                    "--graceful-timeout",
                    "1",
                ),
            ],
            env=env | {"PUBLIC_BASE_URL": f"http://127.0.0.1:{port}"},
            pass_fds=[listener.fileno()],
        )
        try:
            urlopen(
                f"http://127.0.0.1:{port}/healthz", timeout=30
            ).close()  # started: from here the seconds are our own
            yield Server(port)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(var_dir: Path) -> Iterator[Server]:
    env = os.environ | {"VAR_DIR": str(var_dir), "DATABASE_URL": f"sqlite:///{var_dir}/recado.sqlite3"}
    subprocess.run([sys.executable, "-c", PREPARE], env=env, check=True)
    with serving(env) as server:
        yield server


@pytest.fixture
def database(server: Server, var_dir: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(var_dir / "recado.sqlite3", isolation_level=None)) as connection:
        yield connection
        for table in ("conversations_message", "channels_twilio_statusevent"):
            connection.execute(f"delete from {table}")


def stored(database: sqlite3.Connection, table: str = "conversations_message") -> int:
    return int(database.execute(f"select count(*) from {table}").fetchone()[0])


def test_the_url_is_verified_as_it_was_on_the_wire(server: Server, database: sqlite3.Connection):
    queries = ["", "?x=%7E", "?x=~", "?x=%c3%a9", "?x=%C3%A9", "?x=%27", "?x='", "?x=a+b%20c", "?", "?x=1&x=2&y="]
    paths = [INBOUND, "/webhooks/twilio/inbound", "/webhooks/twilio/%69nbound/", "/webhooks/%74wilio/inbound/"]
    targets = [path + query for path in paths for query in queries]
    for number, target in enumerate(targets):
        status, headers, _ = server.post(target, message(MessageSid=f"SM{number}"))
        assert status == 200, target
        assert headers["Content-Type"] == "text/xml"
    assert stored(database) == len(targets)


@pytest.mark.parametrize(
    ("signed", "sent"), [("?x=%7E", "?x=~"), ("?x=%c3%a9", "?x=%C3%A9"), ("?x=%27", "?x='"), ("?a=b", "")]
)
def test_another_spelling_of_the_url_is_another_url(
    server: Server, database: sqlite3.Connection, signed: str, sent: str
):
    status, _, _ = server.post(INBOUND + sent, message(), signed_url=server.url + INBOUND + signed)
    assert status == 403
    assert stored(database) == 0


@pytest.mark.parametrize(("target", "answer"), [(INBOUND, 200), (STATUS, 204)])
def test_a_locked_database_is_said_within_three_seconds_and_the_message_taken_later(
    server: Server, database: sqlite3.Connection, target: str, answer: int
):
    params = message(MessageStatus="sent")
    database.execute("BEGIN IMMEDIATE")
    status, headers, seconds = server.post(target, params)
    database.execute("ROLLBACK")
    assert status == 503
    assert headers["Retry-After"] == "5"
    assert headers["Content-Type"].startswith("text/plain")
    assert seconds < 3
    assert stored(database) == stored(database, "channels_twilio_statusevent") == 0

    assert server.post(target, params)[0] == answer
    assert stored(database) + stored(database, "channels_twilio_statusevent") == 1


def test_a_database_that_is_gone_is_said_within_three_seconds(process_env: dict[str, str]):
    with socket.socket() as nobody:  # bound and not listening: refused at once
        nobody.bind(("127.0.0.1", 0))
        url = f"postgres://recado@127.0.0.1:{nobody.getsockname()[1]}/recado"
        with serving(process_env | {"DATABASE_URL": url}) as server:
            for target in (INBOUND, STATUS):
                status, headers, seconds = server.post(target, message())
                assert status == 503
                assert headers["Retry-After"] == "5"
                assert seconds < 3
