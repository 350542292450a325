from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProjectConfig(AppConfig):
    """Wires the parts: settings, addresses, first steps, health."""

    name = "project"
    verbose_name = _("Recado")

    def ready(self) -> None:
        from . import (
            checks,  # noqa: F401  (registers the system checks)
            tracing,
        )

        tracing.configure()
