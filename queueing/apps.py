from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class QueueingConfig(AppConfig):
    """The durable queue: jobs in the database, rings over a backend, one worker."""

    name = "queueing"
    verbose_name = _("Queue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (registers the system checks)

        autodiscover_modules("tasks")  # every installed app's tasks.py declares its tasks
