from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class QueueingConfig(AppConfig):
    """The durable queue: jobs in the database, rings over a backend, one worker."""

    name = "queueing"
    verbose_name = _("Queue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, django_jobs, drill, retention  # noqa: F401  (they register system checks and tasks)
        from .registry import all_queue_names

        autodiscover_modules("tasks")  # every installed app's tasks.py declares its tasks
        for name in all_queue_names():  # each lane is an RQ queue too, for django-rq's pages and commands
            settings.RQ_QUEUES.setdefault(name, settings.RQ_QUEUES["default"])
