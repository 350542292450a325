import pytest
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_the_tests_run_on_a_sqlite_file_with_write_ahead_logging() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
    assert str(connection.settings_dict["NAME"]).startswith(str(settings.VAR_DIR))
