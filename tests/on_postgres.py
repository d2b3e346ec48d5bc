"""A pytest plugin, `-p tests.on_postgres`: the tests run on a PostgreSQL that it brings and takes away.

It must be named on the command line: settings are read before any conftest.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

_servers = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Before pytest-django reads the settings. The workers of xdist inherit the environment, and the server."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        from tests.servers import postgres  # not above: pytest rewrites the asserts of what is imported later

        server = _servers.enter_context(postgres())
        # Statistics taken between two tests say that tables are empty, and plans made by them take minutes.
        server.configure("autovacuum", "off")
        os.environ.update(DATABASE_URL=server.new_database(), DJANGO_SECRET_KEY="of the tests")
    yield


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"


def pytest_unconfigure() -> None:
    _servers.close()
