"""Logs: one line an event, JSON for machines and colours for people, with the request's correlation id.

Code logs with the standard library (`logging.getLogger(__name__)`, facts in `extra=`); structlog only shapes the line.
Message bodies and tokens are not logged anywhere; what looks like a phone number is blotted out here, tracebacks too.
"""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from queueing.masking import mask

# At INFO these log whole URLs, which may hold an address, or RQ's smallest steps.
TALKATIVE = ("httpx", "httpcore", "urllib3", "twilio.http_client", "botocore", "rq.worker", "rq_scheduler")


def logging_config(*, style: str, level: str) -> dict[str, Any]:
    """Django's LOGGING. `style` is `json` or `console`."""
    facts = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
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


def mask_personal_data(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Blot out phone numbers. Ids are left alone: a long one would pass for a number."""
    return {
        key: mask(value) if isinstance(value, str) and not key.endswith("_id") else value
        for key, value in event.items()
    }
