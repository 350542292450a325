"""How gunicorn serves us: `gunicorn -c python:project.gunicorn project.wsgi`. PORT and WEB_CONCURRENCY are honoured."""

from __future__ import annotations

from django.core.management import CommandError, call_command
from django.db import connections

from project import settings

# The sandbox has a phone that anyone may write with: it is for this machine alone.
bind = f"{'127.0.0.1' if settings.SANDBOX else '0.0.0.0'}:{settings.PORT}"

# One process on SQLite, where its threads wait for each other in a line; on PostgreSQL, raise WEB_CONCURRENCY to the
# number of cores. Threads also wait for what clients are slow to send.
workers = settings.WEB_CONCURRENCY
worker_class = "project.web_worker.WebWorker"
threads = 16
preload_app = True  # loaded once, shared by the processes; and checked before the first of them starts
timeout = 30
graceful_timeout = 4  # nothing that must be finished takes longer than a webhook's 3 s
control_socket_disable = True
logconfig_dict = settings.LOGGING


def on_starting(server: object) -> None:
    """Refuse to serve what `manage.py check` refuses."""
    try:
        call_command("check", databases=["default"])
    except CommandError as error:
        raise SystemExit(str(error)) from None
    finally:
        for connection in connections.all(initialized_only=True):  # not to be shared with the processes to be forked
            connection.close()
            if connection.vendor == "postgresql":
                connection.close_pool()  # type: ignore[attr-defined]
