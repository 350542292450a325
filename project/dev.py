"""`make run`: prepares this checkout, starts every process of the Procfile, says where to look, and stops them cleanly.

Without a Twilio account in the environment or in `.env` it runs in the sandbox, with a local stand-in for Twilio.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path

import django
import httpx
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from .environment import Environment

ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = Path(os.environ.get("ENV_FILE") or ROOT / ".env")
DRAIN_SECONDS = 3  # honcho kills what still lives five seconds after the first process has stopped


def main() -> int:
    """Returns the exit code: 0 after Ctrl-C. What hinders the start raises SystemExit, with one line that says so."""
    configure()
    require_free("PORT", settings.PORT)
    if settings.SANDBOX:
        require_free("TWIN_PORT", settings.TWIN_PORT)
    prepare()
    return supervise()


def configure() -> None:
    """Complete the environment, which the processes inherit, and load Django with it."""
    env = Environment(ENV_FILE)
    if not os.environ.get("SECRET_KEY"):
        os.environ["SECRET_KEY"] = keep_new_secret_key()
    if not os.environ.get("TWILIO_ACCOUNT_SID"):
        os.environ["SANDBOX"] = env.str("SANDBOX", default="true")
    elif not os.environ.get("PUBLIC_BASE_URL"):
        raise SystemExit(
            "TWILIO_ACCOUNT_SID is set and PUBLIC_BASE_URL is not: Twilio must reach this machine (README)"
        )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    os.environ |= {
        "QUEUE_DRAIN_SECONDS": str(min(settings.QUEUE_DRAIN_SECONDS, DRAIN_SECONDS)),
        "LOG_FORMAT": env.str("LOG_FORMAT", default="console"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def keep_new_secret_key() -> str:
    """Write a random key into `.env`, readable by its owner alone, and return it."""
    key = secrets.token_urlsafe(50)
    ENV_FILE.touch(mode=0o600)
    text = ENV_FILE.read_text()
    ENV_FILE.write_text(f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}SECRET_KEY={key}\n")
    print(f"SECRET_KEY: a random one was written to {ENV_FILE.name}. Every other setting: .env.example")
    return key


def require_free(name: str, port: int) -> None:
    """Raises SystemExit when nobody can listen on `port`: one line here, and a page of them in a server's log."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError:
            raise SystemExit(f"{name} must be between 1 and 65535") from None
        except OSError as error:
            why = "is in use" if error.errno == EADDRINUSE else f"cannot be used ({error.strerror})"
            raise SystemExit(f"Port {port} {why}. Choose another: {name}={port + 10} make run") from None


def prepare() -> None:
    """What `setup` does for a deployment, and a first look's data. Raises SystemExit with what stands in the way."""
    from conversations.models import Workspace  # models exist once Django is set up

    from .demo import OPERATOR, add_demo_knowledge, make_operator

    try:
        call_command("setup", skip_checks=False)
    except (CommandError, DatabaseError) as error:  # also Django's own word for a file that is locked or read-only
        raise SystemExit(str(error)) from None
    if add_demo_knowledge(Workspace.objects.get(slug="default")):
        print("Demo knowledge: a small shop's, in English and Portuguese.")
    if password := make_operator():
        print(f"\n  Log in at /admin/ as {OPERATOR} with password {password}\n  It is shown only now.\n")


def supervise() -> int:
    """Run the Procfile's processes until one of them ends or we are told to stop. Returns the exit code."""
    procfile = "Procfile.dev" if settings.SANDBOX else "Procfile"
    command = [sys.executable, "-m", "project.processes", procfile]
    # In a session of its own: Ctrl-C reaches us alone, and the processes are told to stop once, by their manager.
    manager = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True
        manager.terminate()

    def hang_up(*_: object) -> None:
        """The terminal is gone: what is still to be printed, also while Python ends, must not fail."""
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (open to the end)
        stop()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    signal.signal(signal.SIGHUP, hang_up)
    while manager.poll() is None and not answers():
        time.sleep(0.1)
    if manager.poll() is None and not told_to_stop:
        announce()
    code = manager.wait()
    return 0 if told_to_stop else code or 1


def answers() -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.PORT}/healthz", timeout=1, trust_env=False).is_success
    except httpx.TransportError:
        return False


def announce() -> None:
    here = f"http://127.0.0.1:{settings.PORT}"
    phone = f"  {here}/simulator/   a phone to write with\n" if settings.SANDBOX else ""
    with suppress(OSError):  # the terminal was closed meanwhile: a signal says so
        print(
            f"\n  Recado is running. Ctrl-C stops it.\n{phone}  {here}/admin/       the operators' side\n", flush=True
        )


if __name__ == "__main__":
    sys.exit(main())
