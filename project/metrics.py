"""`/metrics`: figures for Prometheus, and for nobody else."""

from __future__ import annotations

import logging
import secrets
from ipaddress import ip_address

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from conversations.metrics import ChannelCollector
from queueing.metrics import LedgerCollector

from .checks import is_public

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of queue and channels, in the format that is asked for: Prometheus' own or OpenMetrics.

    Who knows `METRICS_TOKEN` may read them (`Authorization: Bearer …`). Without such a token only this machine may, and
    only where the world is not told to call us: a proxy or a tunnel on this machine looks like this machine.
    """
    if not _may_read(request):
        response = HttpResponse(status=401 if settings.METRICS_TOKEN else 403)
        if settings.METRICS_TOKEN:
            response["WWW-Authenticate"] = "Bearer"
        return response
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        return HttpResponse(encode(_registry()), content_type=content_type)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the metrics cannot be read: %s", type(error).__name__)
        return HttpResponse(status=503)


def _registry() -> CollectorRegistry:
    """Both, for one scrape: nothing is counted in the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector())
    registry.register(ChannelCollector())
    return registry


def _may_read(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
    return not is_public() and not _was_forwarded(request) and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _was_forwarded(request: HttpRequest) -> bool:
    return any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a Unix socket has none
        return False
