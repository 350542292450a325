"""`python -m tests.proof`: tries every crash point on every backend, and prints what came of it.

python -m tests.proof                                   # everything
python -m tests.proof --backend sqlite --way answer -v  # a part of it, run by run
python -m tests.proof --backend sqlite --sample 20 --seed 7
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from .backends import BACKENDS, Backend
from .environment import prepare_environment

EVERYTHING = ([], ["--storm", "20"], ["--mutants"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("--backend", choices=BACKENDS, help="only on this one")
    parser.add_argument("--mutants", action="store_true", help="try whether broken products are caught, instead")
    parser.add_argument("--storm", type=float, help="so many seconds of a storm, instead")
    parser.add_argument("--way", action="append", help="only this way of a message")
    parser.add_argument("--sample", type=int, help="only so many points, by chance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600, help="begin no further run of a sample after so long")
    parser.add_argument("--keep", action="store_true", help="leave the files of the runs, and say where")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each run")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each run")
    options = parser.parse_args()
    if options.backend:
        return prove(options.backend, options)
    parts = [sys.argv[1:]] if len(sys.argv) > 1 else EVERYTHING
    command = [sys.executable, "-m", "tests.proof"]
    # Each in a process of its own: Django is configured once in a process.
    return max([subprocess.call([*command, *part, "--backend", name]) for name in BACKENDS for part in parts])


def prove(name: str, options: argparse.Namespace) -> int:
    directory = Path(tempfile.mkdtemp(prefix="recado-proof-"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    backend = BACKENDS[name](directory)
    try:
        backend.start()
        prepare_environment(backend, directory, listener)
        return _run(name, backend, listener, directory, options)
    finally:
        backend.stop()
        if options.keep:
            print(f"files: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _run(name: str, backend: Backend, listener: socket.socket, directory: Path, options: argparse.Namespace) -> int:
    import django  # the environment is complete only now

    django.setup()
    from .stage import Stage
    from .sweep import Report, sample, sweep, try_mutants, try_storm
    from .ways import WAYS

    report, began = Report(name), time.monotonic()
    stage = Stage(backend, listener, directory)
    ways = [way for way in WAYS if not options.way or way.name in options.way]
    try:
        verdicts = (
            try_mutants(stage, name)
            if options.mutants
            else [try_storm(stage, options.seed, options.storm)]
            if options.storm
            else sample(stage, size=options.sample, seed=options.seed, seconds=options.seconds, ways=ways)
            if options.sample
            else sweep(stage, ways)
        )
        for verdict in verdicts:
            report.verdicts.append(verdict)
            if options.json:
                print(json.dumps(asdict(verdict)), flush=True)
            elif options.verbose or verdict.violations:
                print(verdict, flush=True)
    finally:
        stage.close()
    report.seconds = time.monotonic() - began
    if options.json:
        return 0
    what = "mutants" if options.mutants else "storm" if options.storm else "points"
    print(f"{'backend':<20}{'runs':>6}{'points':>8}{'kills':>7}{'violations':>12}{'seconds':>9}")
    runs, seconds = len(report.verdicts), round(report.seconds)
    print(
        f"{f'{name}, {what}':<20}{runs:>6}{report.points:>8}{report.kills:>7}{len(report.guilty):>12}{seconds:>9}",
        flush=True,
    )
    if not report.kills and not options.mutants:
        print("nobody was killed: this proves nothing")
        return 1
    return int(bool(report.guilty))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or what it has started would outlive it
    sys.exit(main())
