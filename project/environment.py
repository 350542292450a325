"""Reads the environment and `.env`, and says in one line what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import environ

ASSIGNMENT = re.compile(r"""(?:export )?([A-Za-z_][A-Za-z_0-9]*)=(".*"|'.*'|[^"'].*|)""")
WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


class Environment(environ.Env):  # type: ignore[misc]
    """`environ.Env` that refuses what it cannot read instead of guessing, and takes an empty value for an unset one.

    A wrong value raises SystemExit with its name and, when it comes from `.env`, its line; without the value, which may
    be a secret.
    """

    def __init__(self, path: Path) -> None:
        """Load `path`; what the environment already holds wins. A missing file is an empty one."""
        super().__init__()
        self.path = path
        self.lines: dict[str, int] = {}
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"{path}: cannot be read: {error}") from None
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            match = ASSIGNMENT.fullmatch(line)
            if not match:
                raise SystemExit(f"{path}, line {number}: this is not NAME=value; put a # before what is a comment")
            if self.ENVIRON.get(match[1]) in (None, match[2].strip("\"'")):
                self.lines[match[1]] = number
        self.read_env(path)

    def get_value(
        self, var: str, cast: Callable[[str], Any] | None = None, default: Any = environ.Env.NOTSET, **_: Any
    ) -> Any:
        """The value of `var`, taken literally: the parent would take a secret that starts with `$` for a name."""
        text = self.ENVIRON.get(var, "")
        if not text:
            if default is self.NOTSET:
                raise SystemExit(f"{var} is not set: set it in the environment or in {self.path}")
            return default
        if cast is bool and text.lower() not in {*self.BOOLEAN_TRUE_STRINGS, "false", "off", "n", "no", "0"}:
            self.refuse(var, WORDS[bool])
        try:
            return self.parse_value(text, cast)
        except ValueError:
            self.refuse(var, next((words for kind, words in WORDS.items() if kind is cast), "valid"))

    def choice(self, var: str, choices: Sequence[str], *, default: str) -> str:
        value: str = self.str(var, default=default)
        if value not in choices:
            self.refuse(var, f"one of {', '.join(choices)}")
        return value

    def database(self, var: str, *, default: str) -> dict[str, Any]:
        """Django's settings for the database that the URL in `var` names: SQLite's or PostgreSQL's."""
        if not re.match(r"(sqlite|postgres|postgresql)://", self.str(var, default=default)):
            self.refuse(var, "the URL of a database: sqlite:///path or postgres://user:password@host:5432/name")
        try:
            config: dict[str, Any] = self.db_url(var, default=default)
        except (ValueError, environ.ImproperlyConfigured):
            config = {}
        if not config.get("NAME"):
            self.refuse(var, "the URL of a database, with its name and a port in digits")
        return config

    def refuse(self, var: str, expected: str) -> NoReturn:
        where = f"{self.path}, line {self.lines[var]}" if var in self.lines else "environment"
        raise SystemExit(f"{where}: {var} must be {expected}")
