"""What is read from the environment and from `.env`, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from project.environment import Environment
from tests.conftest import ROOT

Manage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment: dict[str, str] = {}
    monkeypatch.setattr(Environment, "ENVIRON", environment)
    return environment


def test_the_environment_wins_over_the_file(env_file: Path, own_environment: dict[str, str]) -> None:
    env_file.write_text("PORT=1\nNAME='in quotes'\n# a comment\n\nexport OTHER=a=b\n")
    own_environment["PORT"] = "2"
    env = Environment(env_file)
    assert (env.int("PORT"), env.str("NAME"), env.str("OTHER")) == (2, "in quotes", "a=b")


def test_an_empty_value_is_an_unset_one(env_file: Path) -> None:
    env_file.write_text("PORT=\nDEBUG=\n")
    env = Environment(env_file)
    assert env.int("PORT", default=8000) == 8000
    assert env.bool("DEBUG", default=False) is False


def test_a_secret_that_starts_with_a_dollar_is_not_a_reference(env_file: Path) -> None:
    env_file.write_text("SECRET_KEY=$PATH\n")
    assert Environment(env_file).str("SECRET_KEY") == "$PATH"


@pytest.mark.parametrize("line", ["just words", "SPACED = 1", " # indented", "OPEN='quote", "1DIGIT=1", "-x=1"])
def test_a_line_that_is_no_assignment_is_named_by_its_number(env_file: Path, line: str) -> None:
    env_file.write_text(f"# fine\nFINE=1\n{line}\n")
    with pytest.raises(SystemExit, match=r"\.env, line 3: "):
        Environment(env_file)


def test_a_file_that_is_not_text_is_refused(env_file: Path) -> None:
    env_file.write_bytes(b"NAME=\xff\xfe")
    with pytest.raises(SystemExit, match="cannot be read"):
        Environment(env_file)


@pytest.mark.parametrize(
    ("name", "value", "read", "expected"),
    [
        ("DEBUG", "maybe", "bool", "true or false"),
        ("PORT", "80a", "int", "a whole number"),
        ("SECONDS", "soon", "float", "a number"),
        ("DATABASE_URL", "mysql://host/name", "database", "the URL of a database"),
        ("DATABASE_URL", "postgres://user:hunter2@host:port/name", "database", "the URL of a database"),
        ("DATABASE_URL", "postgres://user:hunter2@host", "database", "the URL of a database"),
    ],
)
def test_a_wrong_value_is_named_by_its_line_and_not_shown(
    env_file: Path, name: str, value: str, read: str, expected: str
) -> None:
    env_file.write_text(f"FINE=1\n{name}={value}\n")
    env = Environment(env_file)
    with pytest.raises(SystemExit, match=rf"\.env, line 2: {name} must be {expected}") as refused:
        getattr(env, read)(name, default="sqlite:///x")
    assert value not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_wrong_value_of_the_environment_is_not_blamed_on_the_file(
    env_file: Path, own_environment: dict[str, str]
) -> None:
    env_file.write_text("PORT=8000\n")
    own_environment["PORT"] = "eighty"
    with pytest.raises(SystemExit, match=r"^environment: PORT must be"):
        Environment(env_file).int("PORT")


def test_commands_answer_a_broken_configuration_with_one_line(manage: Manage, env_file: Path) -> None:
    env_file.write_text("SECRET_KEY=something\nPORT=abc\n")
    for changes, line in (
        ({"SECRET_KEY": None}, f"SECRET_KEY is not set: set it in the environment or in {os.devnull}"),
        ({"DEBUG": "maybe"}, "environment: DEBUG must be true or false"),
        ({"ENV_FILE": str(env_file), "SECRET_KEY": None}, f"{env_file}, line 2: PORT must be a whole number"),
        ({"LOG_LEVEL": "loud"}, "environment: LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"),
    ):
        result = manage("check", **changes)
        assert (result.returncode, result.stdout, result.stderr.strip()) == (1, "", line)


def test_every_setting_is_documented_with_its_default() -> None:
    read = dict(
        re.findall(
            r'env\.\w+\(\s*"(\w+)"(?:, default=("[^"]*"|[\w.]+)\))?',
            (ROOT / "project" / "settings.py").read_text(),
        )
    )
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    readme = (ROOT / "README.md").read_text()
    for name, default in read.items():
        assert name in example, f"{name} is missing in .env.example"
        assert f"`{name}`" in readme, f"{name} is missing in the README"
        if default not in ("", '""', "_hosts"):
            assert example[name] == default.strip('"').replace("False", "false"), f".env.example has another {name}"


@pytest.mark.django_db
def test_the_tests_run_on_a_sqlite_file_with_write_ahead_logging() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
    assert str(connection.settings_dict["NAME"]).startswith(str(settings.VAR_DIR))
