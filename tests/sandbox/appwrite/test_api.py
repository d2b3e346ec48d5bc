"""Who may make which request."""

import pytest

from tests.sandbox.appwrite_api import ROWS, TABLE, Client


def test_a_key_has_the_scopes_that_it_names(races: Client) -> None:
    def asked(method: str, path: str, scopes: str) -> str:
        reply = races.call(method, path, {}, headers={"X-Appwrite-Key": f"sandbox:{scopes}"})
        return str(reply.json().get("type", reply.status_code))

    assert asked("GET", ROWS, "rows.read,tables.read") == "200"
    assert asked("GET", TABLE, "rows.read,tables.read") == "200"
    assert asked("POST", ROWS, "rows.read,tables.read") == "general_unauthorized_scope"
    assert asked("GET", "/webhooks", "rows.read") == "general_unauthorized_scope"


@pytest.mark.parametrize("scope", ["rows.read", "documents.read"])
def test_either_name_of_a_scope_opens_the_rows(old_races: Client, scope: str) -> None:
    assert old_races.call("GET", ROWS, headers={"X-Appwrite-Key": f"sandbox:{scope}"}).status_code == 200
