"""Runs the processes of a Procfile together: `python -m project.processes Procfile`. When one ends, all are stopped."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Message, Printer


class Terminal(Printer):  # type: ignore[misc]
    """Outlives the window that it prints to: the processes still have to be stopped when that is closed."""

    def write(self, message: Message) -> None:
        with suppress(OSError):
            super().write(message)


def main(procfile: str) -> int:
    """Returns the exit code of the process that ended first, or of the signal that stopped us.

    Each inherits our environment as it is; `honcho start` would read `.env` by rules of its own, and change PORT.
    """
    manager = Manager(Terminal(sys.stdout))
    for name, command in parse_procfile(Path(procfile).read_text()).processes.items():
        manager.add_process(name, command, env=dict(os.environ))
    manager.loop()
    return int(manager.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
