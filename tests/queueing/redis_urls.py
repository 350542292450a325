"""The addresses of an installation on Redis."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/django_rq/", include("queueing.rq_pages")), path("admin/", admin.site.urls)]
