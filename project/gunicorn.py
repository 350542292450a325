"""How gunicorn serves us: `gunicorn -c python:project.gunicorn project.wsgi`. PORT and WEB_CONCURRENCY are honoured."""

from __future__ import annotations

import subprocess
import sys

from project import settings

# The sandbox has a phone that anyone may write with: it is for this machine alone.
bind = f"{'127.0.0.1' if settings.SANDBOX else '0.0.0.0'}:{settings.PORT}"

# Few processes with few threads: on SQLite every thread more is one more writer that waits for the others, and two
# processes fill two cores. On PostgreSQL, raise WEB_CONCURRENCY to the number of cores.
workers = settings.WEB_CONCURRENCY
worker_class = "gthread"
threads = 4
timeout = 30
graceful_timeout = 4  # nothing that must be finished takes longer than a webhook's 3 s
control_socket_disable = True
logconfig_dict = settings.LOGGING


def on_starting(server: object) -> None:
    """Refuse to serve what `manage.py check` refuses; in a process of its own, for the check connects and we fork."""
    check = [sys.executable, str(settings.BASE_DIR / "manage.py"), "check", "--database", "default"]
    if subprocess.run(check, check=False).returncode:
        raise SystemExit(1)
