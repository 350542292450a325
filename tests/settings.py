"""The product's settings, with tasks to try the queue with."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as PRODUCT_APPS
from project.settings import TASKS as PRODUCT_TASKS

INSTALLED_APPS = [*PRODUCT_APPS, "tests.probe"]
TASKS = PRODUCT_TASKS | {"once": {**PRODUCT_TASKS["default"], "OPTIONS": {"max_attempts": 1}}}
SILENCED_SYSTEM_CHECKS = ["queueing.E003"]  # the leases of tests are shorter than is wise elsewhere
QUEUE_BACKENDS = {"spool": "tests.probe.spool.SpoolBackend"}
