"""What holds for all tests: none passes or fails by the speed of the machine, and none waits for its database."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.plugin import DjangoDbBlocker

hypothesis_settings.register_profile("racepoll", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("racepoll")


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    """The local servers that play a provider or Appwrite listen on loopback."""
    return "127.0.0.1", 0


@pytest.fixture
def unused_port() -> int:
    """A port of loopback that nobody listens on: just bound, and closed again."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The rows that `migrate` makes are put back as they were after each test that commits.

    Django would make them from scratch, by hundreds of queries: a tenth of a second for each such test.
    """
    with django_db_blocker.unblock():
        migrated = _rows_of_all_tables()

    def empty_and_put_back(_: TransactionTestCase) -> None:
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False, inhibit_post_migrate=True)
        with transaction.atomic(), connection.cursor() as cursor:
            for statement, rows in migrated.items():
                cursor.executemany(statement, rows)
        ContentType.objects.clear_cache()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_and_put_back)
        yield


def _rows_of_all_tables() -> dict[str, list[tuple[Any, ...]]]:
    """The statement that inserts into a table, and the rows that lie in it."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - tables of our own
            columns = [f'"{column[0]}"' for column in cursor.description]
            marks = ", ".join(["%s"] * len(columns))
            if rows := cursor.fetchall():
                found[f'INSERT INTO "{table}" ({", ".join(columns)}) VALUES ({marks})'] = rows  # noqa: S608
    return found
