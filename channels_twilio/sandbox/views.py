"""The simulator in the browser: a page, and the way from it to the twin.

The browser talks only to us, so that Django's CSRF and host checks guard what the twin, which trusts whoever has the
account's credentials, could not: no page of another origin can write as a contact.
"""

from __future__ import annotations

import json
import re
from functools import cache

import httpx
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods

from .panel import PANEL, TEXTS

_PATHS = re.compile(r"account|contacts|contacts/[\w:+.]+/messages|messages|media/ME\w+|faults|exchanges")
_PAGE_POLICY = "default-src 'self'; img-src * blob:; media-src *; frame-ancestors 'none'; form-action 'none'"
_MEDIA_POLICY = "sandbox; default-src 'none'"  # a contact's file must not run as a page of this origin


@require_GET
@ensure_csrf_cookie
def show_phone(request: HttpRequest) -> HttpResponse:
    texts = {
        "demo_name": _("Ana Example"),
        "sent": _("sent"),
        "queued": _("queued"),
        "delivered": _("delivered"),
        "read": _("read"),
        "failed": _("not delivered"),
        "online": _("online"),
        "typing": _("typing…"),
        "no_address": _("There is no address of this kind to write to."),
        "unreachable": _("The simulator does not answer. Trying again…"),
        "too_large": _("This file is too large."),
        "file": _("File"),
        "image": _("Picture"),
    }
    texts |= {name: str(text) for name, text in TEXTS.items()}
    panel = [(title, [(text, json.dumps(rule)) for text, rule in faults]) for title, faults in PANEL]
    response = render(request, "sandbox/simulator.html", {"texts": texts, "panel": panel})
    response["Content-Security-Policy"] = _PAGE_POLICY
    return response


@require_http_methods(["GET", "POST"])
def ask_twin(request: HttpRequest, path: str) -> HttpResponse:
    if not _PATHS.fullmatch(path):
        raise Http404
    twin = _twin(settings.TWILIO_API_BASE_URL, settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN)
    try:
        # read(), for `body` would refuse a photo; the twin has a limit of its own
        answer = twin.request(
            request.method or "GET", f"/sandbox/{path}", params=request.GET.dict(), content=request.read()
        )
    except httpx.TransportError:
        return JsonResponse(
            {"message": _("The twin does not answer. Start it with: manage.py twilio_twin")}, status=502
        )
    response = HttpResponse(answer.content, status=answer.status_code, content_type=answer.headers["Content-Type"])
    response["Cache-Control"] = "no-store"
    response["Content-Security-Policy"] = _MEDIA_POLICY
    return response


@cache
def _twin(base_url: str, account_sid: str, auth_token: str) -> httpx.Client:
    """No connection is kept: the twin may have been started anew between two requests."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=base_url, auth=(account_sid, auth_token), trust_env=False, limits=limits, timeout=10)
