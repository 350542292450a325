"""django-rq's pages, where Redis carries the rings: for those who may use them, and clear where Redis is away.

They show rings and who listens to them. Jobs, which outlive Redis, are in the admin's own screens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import site
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django_rq.urls import urlpatterns as unguarded
from redis.exceptions import RedisError

from .backends import get_backend
from .backends.breaker import named
from .errors import BackendUnavailable

View = Callable[..., HttpResponse]


def guarded(view: View) -> View:
    """For staff who hold django-rq's own permission. Redis is asked first: the pages would wait for it, and fail."""

    @wraps(view)
    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            get_backend().check()
            return view(request, *args, **kwargs)
        except (BackendUnavailable, RedisError) as error:
            context = site.each_context(request) | {
                "title": _("Redis is away"),
                "error": error if isinstance(error, BackendUnavailable) else named(error),
            }
            return TemplateResponse(request, "queueing/redis_away.html", context, status=503)

    return staff_member_required(permission_required("django_rq.admin", raise_exception=True)(guard))


app_name = "django_rq"
urlpatterns = [URLPattern(page.pattern, guarded(page.callback), page.default_args, page.name) for page in unguarded]
