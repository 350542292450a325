"""Logs: one line an event, JSON for machines and colours for people, with the request's correlation id.

Code logs with the standard library (`logging.getLogger(__name__)`, facts in `extra=`); structlog only shapes the line.
Message bodies and tokens are not logged anywhere. What looks like a phone number is blotted out here, and so is what an
exception says, but for the words of its programmer. A job's lines carry the job.
"""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from queueing.current import current_facts
from queueing.masking import mask, traceback_of

# Below WARNING these log whole URLs, which may hold an address, whole requests, or RQ's smallest steps.
TALKATIVE = (
    *("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "botocore", "twilio.http_client"),
    *("openai", "anthropic", "groq", "google_genai", "django.db.backends", "rq.worker", "rq_scheduler"),
)


def logging_config(*, style: str, level: str) -> dict[str, Any]:
    """Django's LOGGING. `style` is `json` or `console`."""
    facts = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        add_job,
        add_traceback,
        mask_personal_data,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": facts,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "gunicorn.error": {"handlers": [], "propagate": True},
            **{name: {"level": "WARNING"} for name in TALKATIVE},
        },
    }


def add_job(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The job that the line came of. Asked for when a line is written, so that a job without lines pays nothing."""
    return {**event, **current_facts()}


def add_traceback(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The exception of the line, without the data in what it says."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = traceback_of(error)
    return event


def mask_personal_data(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Blot out phone numbers. Ids and figures are left alone: a long one would pass for a number."""
    event.pop("request", None)  # Django's, whose text has the query: the line names the path
    return {
        key: value if key.endswith("_id") or isinstance(value, int | float | None) else mask(str(value))
        for key, value in event.items()
    }
