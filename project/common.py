"""Django's CommonMiddleware, which asks of the webhooks not by which name they were called."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.middleware import common


class CommonMiddleware(common.CommonMiddleware):
    """A webhook is checked against PUBLIC_BASE_URL, and makes no link: a proxy's own name for us loses no message."""

    def process_request(self, request: HttpRequest) -> Any:
        return None if request.path.startswith("/webhooks/") else super().process_request(request)
