"""`make run`, as a newcomer meets it: real processes, real ports, Ctrl-C."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.journey

IN_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # what it is started in becomes its terminal, whose end is told by SIGHUP
from project.dev import main
sys.exit(main())
"""


def free_port() -> int:
    """A port whose successor, the twin's, is free as well; below those that the system hands out to other tests."""
    while True:
        port = random.randrange(20_000, 30_000, 2)
        with socket.socket() as first, socket.socket() as second:
            if first.connect_ex(("127.0.0.1", port)) and second.connect_ex(("127.0.0.1", port + 1)):
                return port


@pytest.fixture
def dev_env(process_env: dict[str, str], env_file: Path) -> dict[str, str]:
    """A newcomer's environment: nothing is set but where the files lie, and a free port."""
    own = {"VAR_DIR", "DATABASE_URL", "PATH", "HOME"}
    env = {name: value for name, value in process_env.items() if name in own}
    return env | {"ENV_FILE": str(env_file), "PORT": str(free_port())}


@contextmanager
def running(env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The runner, until the block ends; `log` gets what it prints."""
    with log.open("wb") as output:
        runner = subprocess.Popen(
            [sys.executable, "-m", "project.dev"], cwd=ROOT, env=env, stdout=output, stderr=output, process_group=0
        )
    try:
        deadline = time.monotonic() + 60
        while "Ctrl-C stops it" not in log.read_text():
            assert runner.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield runner
    finally:
        if runner.poll() is None:
            runner.terminate()
            runner.wait(30)


def refused(env: dict[str, str]) -> str:
    """What the runner says when it does not start."""
    result = subprocess.run(
        [sys.executable, "-m", "project.dev"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    return result.stderr.strip()


def processes_of(env: dict[str, str]) -> list[int]:
    """Every process on this machine that was started with the files of `env`."""
    mark = f"VAR_DIR={env['VAR_DIR']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return found


def test_the_first_run_prepares_everything_and_ctrl_c_ends_it_the_second_keeps_it(
    dev_env: dict[str, str], tmp_path: Path, env_file: Path
) -> None:
    url, log = f"http://127.0.0.1:{dev_env['PORT']}", tmp_path / "log"
    with running(dev_env, log) as runner:
        assert f"{url}/simulator/" in log.read_text()
        assert f"{url}/admin/" in log.read_text()
        login = re.search(r"as (\w+) with password (\S+)", log.read_text())
        assert login
        assert httpx.get(f"{url}/readyz").json()["ready"]
        with httpx.Client(base_url=url) as browser:
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/admin/login/").text)
            assert token
            form = {"username": login[1], "password": login[2], "csrfmiddlewaretoken": token[1]}
            assert browser.post("/admin/login/?next=/admin/", data=form).headers["Location"] == "/admin/"
        os.killpg(runner.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        assert runner.wait(30) == 0
    assert processes_of(dev_env) == []
    assert "Traceback" not in log.read_text()
    assert env_file.stat().st_mode & 0o777 == 0o600
    key = env_file.read_text()
    assert re.fullmatch(r"SECRET_KEY=\S{50,}\n", key)

    with running(dev_env, log) as runner:
        assert "password" not in log.read_text()
        runner.terminate()
        assert runner.wait(30) == 0
    assert env_file.read_text() == key
    assert processes_of(dev_env) == []


def test_a_closed_terminal_ends_it(dev_env: dict[str, str]) -> None:
    terminal, ours = os.openpty()
    runner = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL], cwd=ROOT, env=dev_env, stdin=ours, stdout=ours, stderr=ours,
        start_new_session=True,
    )  # fmt: skip
    os.close(ours)
    try:
        printed = b""
        while b"Ctrl-C stops it" not in printed:
            printed += os.read(terminal, 4096)  # raises OSError when the other side is gone
    finally:
        os.close(terminal)
    assert runner.wait(30) == 0
    assert processes_of(dev_env) == []


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use_is_one_line(dev_env: dict[str, str], offset: int) -> None:
    port = int(dev_env["PORT"]) + offset
    with socket.create_server(("127.0.0.1", port)):
        name = ["PORT", "TWIN_PORT"][offset]
        assert refused(dev_env) == f"Port {port} is in use. Choose another: {name}={port + 10} make run"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("SECRET_KEY=x\nthis is no setting\n", "line 2: this is not NAME=value; put a # before what is a comment"),
        ("SECRET_KEY=x\nDEBUG=maybe\n", "line 2: DEBUG must be true or false"),
        ("SECRET_KEY=x\nTWIN_PORT=abc\n", "line 2: TWIN_PORT must be a whole number"),
    ],
)
def test_a_broken_env_file_is_one_line(dev_env: dict[str, str], env_file: Path, lines: str, expected: str) -> None:
    env_file.write_text(lines)
    assert refused(dev_env) == f"{env_file}, {expected}"


def test_a_port_that_does_not_exist_is_one_line(dev_env: dict[str, str]) -> None:
    assert refused(dev_env | {"PORT": "70000"}) == "PORT must be between 1 and 65535"


def test_a_place_that_cannot_be_written_to_is_one_line(dev_env: dict[str, str], env_file: Path) -> None:
    env_file.touch()
    answer = refused(dev_env | {"VAR_DIR": str(env_file)})
    assert answer.startswith("VAR_DIR cannot be written to: ")
    assert "\n" not in answer


def test_a_database_that_is_locked_is_no_traceback(dev_env: dict[str, str]) -> None:
    path = dev_env["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        answer = refused(dev_env)
    assert "database is locked" in answer
    assert "Traceback" not in answer


def test_a_real_account_needs_a_public_address(dev_env: dict[str, str], env_file: Path) -> None:
    env_file.write_text(f"SECRET_KEY={'x1y2z3' * 10}\nTWILIO_ACCOUNT_SID=AC{'0' * 32}\nTWILIO_AUTH_TOKEN=t\n")
    assert "PUBLIC_BASE_URL is not" in refused(dev_env)


def test_a_sandbox_beside_a_real_account_is_refused(dev_env: dict[str, str], env_file: Path) -> None:
    env_file.write_text(
        f"SECRET_KEY={'x1y2z3' * 10}\nTWILIO_ACCOUNT_SID=AC{'0' * 32}\nTWILIO_AUTH_TOKEN=t\n"
        "PUBLIC_BASE_URL=https://bot.example.com\nSANDBOX=true\n"
    )
    answer = refused(dev_env)
    assert "SANDBOX" in answer
    assert "Traceback" not in answer


def test_a_machine_without_python_is_told_what_to_install(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for tool in ("make", "sh", "echo"):
        (bin_dir / tool).symlink_to(str(shutil.which(tool)))
    result = subprocess.run(
        ["make", "run"], cwd=tmp_path, env={"PATH": str(bin_dir)}, capture_output=True, text=True, timeout=60
    )
    assert result.returncode != 0
    assert result.stderr.startswith("Python 3.11 or newer is needed, and none was found.")
    assert not (tmp_path / ".venv").exists()
