"""The environment that the tests run in: set here, before Django loads, so it owes nothing to a developer's `.env`."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import hypothesis
import pytest
from django.conf import settings
from django.db import connections

from .stand_ins.servers import PostgreSQL

ROOT = Path(__file__).resolve().parent.parent
XDIST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

if not XDIST_WORKER:  # its workers inherit what is set here
    var_dir = tempfile.mkdtemp(prefix="recado-tests-")
    atexit.register(shutil.rmtree, var_dir, ignore_errors=True)
    for name in re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE):
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.settings",  # not in pytest's options: those load Django before this file
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "a key of the tests, longer than fifty characters, and of no use elsewhere",
        "PUBLIC_BASE_URL": "https://bot.example.com",
        "VAR_DIR": var_dir,
        "DATABASE_URL": f"sqlite:///{var_dir}/recado.sqlite3",
    }
    if os.environ.get("TEST_DATABASE") == "postgresql":
        os.environ["DATABASE_URL"] = "postgres://recado@127.0.0.1/recado"  # its port is known when it is started, below
django.setup()

# The same examples in each run, and few: a test that fails here fails everywhere. `HYPOTHESIS_PROFILE=search` looks on.
hypothesis.settings.register_profile("suite", derandomize=True, max_examples=30, deadline=None, database=None)
hypothesis.settings.register_profile("search", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> Iterator[None]:
    """The test database is a file, as in production: an in-memory one has neither WAL nor other processes.

    On PostgreSQL each process of the tests has a server of its own: one shows who is in a transaction, whatever its
    database.
    """
    default = connections["default"]
    if default.vendor == "sqlite":
        default.settings_dict["TEST"]["NAME"] = str(settings.VAR_DIR / f"test{XDIST_WORKER}.sqlite3")
        yield
        return
    with PostgreSQL() as server:
        default.settings_dict["PORT"] = server.port
        os.environ["DATABASE_URL"] = server.database("recado")  # for the processes that tests start
        yield


@pytest.fixture
def process_env(tmp_path: Path) -> dict[str, str]:
    """The environment for processes that a test starts: files and database of their own."""
    return os.environ | {"VAR_DIR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/recado.sqlite3"}
