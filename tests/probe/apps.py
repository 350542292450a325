from django.apps import AppConfig


class ProbeConfig(AppConfig):
    """Tasks that say in a journal what was done with them."""

    name = "tests.probe"
