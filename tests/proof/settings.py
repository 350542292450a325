"""The settings of the tests, for the processes that the proof starts: one mutant may be put into them."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as TEST_APPS

INSTALLED_APPS = [*TEST_APPS, "tests.proof"]
