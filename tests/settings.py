"""The product's settings, with tasks to try the queue with."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as PRODUCT_APPS

INSTALLED_APPS = [*PRODUCT_APPS, "tests.probe"]
SILENCED_SYSTEM_CHECKS = ["queueing.E003"]  # the leases of tests are shorter than is wise elsewhere
