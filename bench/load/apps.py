from django.apps import AppConfig


class LoadConfig(AppConfig):
    """Tasks that are worth nothing but to be timed."""

    name = "bench.load"
