"""The product's settings, with tasks to time the queue by."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as PRODUCT_APPS

INSTALLED_APPS = [*PRODUCT_APPS, "bench.load"]
