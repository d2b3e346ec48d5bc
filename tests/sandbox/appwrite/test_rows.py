"""What the sync relies on when it reads and writes rows, over real HTTP."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests

from tests.sandbox.appwrite_api import ROWS, Client, query, wait_until

LONG_AGO = "2000-01-01T00:00:00.000+00:00"


def wait_for_a_new_millisecond(races: Client) -> None:
    """Until a row made now is younger than all rows made before."""
    newest = max(row["$updatedAt"] for row in races.listed()["rows"])
    tries = iter(range(1_000_000))
    wait_until(lambda: races.create(f"tick-{next(tries)}", name="tick").json()["$updatedAt"] > newest)
    races.call("DELETE", ROWS, {"queries": [query("equal", "name", ["tick"])]})


def kind(reply: Any) -> str:
    """Status and error type: '409 row_update_conflict'."""
    return f"{reply.status_code} {reply.json().get('type', '')}".strip()


def test_a_created_row_comes_back_whole(races: Client) -> None:
    made = races.create("race-1", name="One", distance=3.0, off_time="2026-11-23T21:00:00+11:00").json()
    assert made["off_time"] == "2026-11-23T10:00:00.000+00:00"
    assert (made["status"], made["runners"], made["tags"]) == ("open", None, [])
    assert made["$sequence"].isdecimal()
    assert races.get("race-1").json() == made
    assert races.listed()["rows"] == [made]


def test_a_second_create_with_the_id_in_another_case_is_refused(races: Client) -> None:
    races.create("Race-A", name="One")
    assert kind(races.create("race-a", name="Two")) == "409 row_already_exists"
    assert races.get("RACE-A").json()["$id"] == "Race-A"


def test_only_25_rows_come_without_a_limit(races: Client) -> None:
    races.create_many(*[{"$id": f"race-{n}", "name": "One"} for n in range(30)])
    listed = races.listed()
    assert (listed["total"], len(listed["rows"])) == (30, 25)


def test_a_bulk_create_with_one_bad_row_stores_nothing(races: Client) -> None:
    races.create("race-2", name="Taken")
    taken = [{"$id": f"race-{n}", "name": "One"} for n in range(4)]
    assert kind(races.create_many(*taken)) == "409 row_already_exists"
    assert kind(races.create_many({"$id": "a", "name": "A"}, {"$id": "b"})) == "400 row_invalid_structure"
    assert races.ids() == ["race-2"]


def test_rows_of_one_bulk_create_share_their_moment(races: Client) -> None:
    made = races.create_many(*[{"$id": row_id, "name": "One"} for row_id in "cab"]).json()
    assert [row["$id"] for row in made["rows"]] == ["c", "a", "b"]
    assert len({row["$updatedAt"] for row in made["rows"]}) == 1


def test_the_hundred_and_first_row_refuses_the_whole_bulk_create(races: Client) -> None:
    rows = [{"$id": f"race-{n}", "name": "One"} for n in range(101)]
    assert kind(races.create_many(*rows)) == "400 general_argument_invalid"
    assert races.ids() == []


def test_a_patch_leaves_the_other_columns_and_the_sequence_alone(races: Client) -> None:
    made = races.create("race-1", name="One", runners=4).json()
    patched = races.patch("race-1", runners=5).json()
    changed = {key for key in made if made[key] != patched[key]}
    assert changed - {"$updatedAt"} == {"runners"}


def test_a_patch_that_changes_nothing_does_not_move_updated_at(races: Client) -> None:
    made = races.create("race-1", name="One", runners=4).json()
    wait_for_a_new_millisecond(races)
    assert races.patch("race-1", name="One", runners=4).json()["$updatedAt"] == made["$updatedAt"]
    assert races.patch("race-1", runners=5).json()["$updatedAt"] > made["$updatedAt"]


def test_a_patch_on_a_stale_base_is_refused_and_changes_nothing(races: Client) -> None:
    base = races.create("race-1", name="One").json()["$updatedAt"]
    wait_for_a_new_millisecond(races)
    assert races.patch("race-1", base, runners=5).status_code == 200
    assert kind(races.patch("race-1", base, name="Late")) == "409 row_update_conflict"
    current = races.get("race-1").json()
    assert current["name"] == "One"
    assert races.patch("race-1", current["$updatedAt"], name="Late").status_code == 200


@pytest.mark.parametrize(("base", "expected"), [("", 200), ("0", 200), ("soon", 400), (LONG_AGO, 409)])
def test_an_empty_base_compares_nothing_and_garbage_is_refused(races: Client, base: str, expected: int) -> None:
    races.create("race-1", name="One")
    assert races.patch("race-1", base, name="Two").status_code == expected


def test_of_many_racing_patches_with_one_base_exactly_one_wins(races: Client) -> None:
    races.create("race-1", name="One")
    clients = [Client(races.port) for _ in range(6)]
    for attempt in range(5):
        wait_for_a_new_millisecond(races)
        base = races.get("race-1").json()["$updatedAt"]
        names = [f"writer {number} of attempt {attempt}" for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            replies = list(pool.map(partial(patch_name, base=base), clients, names))
        assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409, 409, 409]
        winner = next(name for name, reply in zip(names, replies, strict=True) if reply.status_code == 200)
        assert races.get("race-1").json()["name"] == winner


def patch_name(client: Client, name: str, *, base: str) -> requests.Response:
    return client.patch("race-1", base, name=name)


def test_racing_patches_of_different_columns_all_survive(races: Client) -> None:
    races.create("race-1", name="One")
    changes: list[dict[str, Any]] = [{"name": "Two"}, {"runners": 7}, {"distance": 1.5}, {"active": True}]
    with ThreadPoolExecutor(len(changes)) as pool:
        list(pool.map(lambda change: Client(races.port).patch("race-1", **change), changes))
    row = races.get("race-1").json()
    assert {key: row[key] for change in changes for key in change} == {
        key: value for change in changes for key, value in change.items()
    }


def test_a_delete_on_a_stale_base_is_refused(races: Client) -> None:
    races.create("race-1", name="One")
    stale = races.call("DELETE", f"{ROWS}/race-1", headers={"X-Appwrite-Timestamp": LONG_AGO})
    assert kind(stale) == "409 row_update_conflict"
    gone = races.call("DELETE", f"{ROWS}/race-1")
    assert (gone.status_code, gone.content) == (204, b"")
    assert kind(races.get("race-1")) == "404 row_not_found"


def test_a_row_made_again_after_a_delete_has_a_larger_sequence(races: Client) -> None:
    first = races.create("race-1", name="One").json()
    races.call("DELETE", f"{ROWS}/race-1")
    again = races.create("race-1", name="One").json()
    assert int(again["$sequence"]) == int(first["$sequence"]) + 1


def test_a_key_may_set_updated_at_back(races: Client) -> None:
    races.create("race-1", name="One")
    body = {"data": {"name": "Two", "$updatedAt": "2000-01-01T10:00:00+10:00"}}
    assert races.call("PATCH", f"{ROWS}/race-1", body).json()["$updatedAt"] == LONG_AGO
    garbage = {"data": {"name": "Three", "$updatedAt": "yesterday-ish"}}
    assert kind(races.call("PATCH", f"{ROWS}/race-1", garbage)) == "400 row_invalid_structure"


def test_a_bulk_upsert_leaves_unchanged_rows_out_of_its_reply(races: Client) -> None:
    races.create_many({"$id": "a", "name": "A"}, {"$id": "b", "name": "B"})
    rows = [{key: row[key] for key in row if key[0] != "$" or key == "$id"} for row in races.listed()["rows"]]
    rows[1]["name"] = "changed"
    reply = races.call("PUT", ROWS, {"rows": [*rows, {"$id": "c", "name": "C"}]}).json()
    assert (reply["total"], [row["$id"] for row in reply["rows"]]) == (2, ["b", "c"])


def test_a_bulk_write_without_queries_changes_the_whole_table(races: Client) -> None:
    races.create_many(*[{"$id": f"race-{n}", "name": "One"} for n in range(3)])
    assert races.call("PATCH", ROWS, {"data": {"runners": 2}}).json()["total"] == 3
    assert {row["runners"] for row in races.listed()["rows"]} == {2}
    assert races.call("DELETE", ROWS, {}).json()["total"] == 3


def test_keyset_pages_over_equal_moments_lose_and_repeat_nothing(races: Client) -> None:
    races.create_many(*[{"$id": f"race-{n:02d}", "name": "One"} for n in range(30)])
    order = [query("orderAsc", "$updatedAt"), query("orderAsc", "$id"), query("limit", values=[7])]
    seen: list[str] = []
    page = races.listed(*order)["rows"]
    while page:
        seen += [row["$id"] for row in page]
        page = races.listed(*order, behind(page[-1]))["rows"]
    assert seen == [f"race-{n:02d}" for n in range(30)]


def behind(row: dict[str, Any]) -> str:
    later = {"method": "greaterThan", "attribute": "$updatedAt", "values": [row["$updatedAt"]]}
    same = {"method": "equal", "attribute": "$updatedAt", "values": [row["$updatedAt"]]}
    next_id = {"method": "greaterThan", "attribute": "$id", "values": [row["$id"]]}
    return query("or", values=[later, {"method": "and", "values": [same, next_id]}])


def test_a_hundred_ids_can_be_asked_for_at_once(races: Client) -> None:
    ids = [f"{n:036d}" for n in range(100)]
    races.create_many(*[{"$id": row_id, "name": "One"} for row_id in ids])
    assert races.ids(query("equal", "$id", ids)) == ids


def test_a_cursor_walks_on_and_dies_with_its_row(races: Client) -> None:
    races.create_many(*[{"$id": f"race-{n}", "name": "One"} for n in range(5)])
    order = query("orderAsc", "$id")
    assert races.ids(order, query("cursorAfter", values=["race-2"])) == ["race-3", "race-4"]
    races.call("DELETE", f"{ROWS}/race-2")
    params = {"queries[0]": query("cursorAfter", values=["race-2"])}
    assert kind(races.call("GET", ROWS, params=params)) == "400 general_cursor_not_found"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (query("equal", "name", ["alpha", "GAMMA "]), ["a", "c"]),
        (query("notEqual", "runners", [1]), ["b"]),
        (query("lessThan", "runners", [2]), ["a"]),
        (query("lessThanEqual", "runners", [2]), ["a", "b"]),
        (query("greaterThan", "off_time", ["2026-11-23T09:30:00Z"]), ["b"]),
        (query("isNull", "runners"), ["c"]),
        (query("isNotNull", "runners"), ["a", "b"]),
        (query("equal", "active", [True]), ["b"]),
        (query("equal", "distance", [1.5]), ["a"]),
    ],
)
def test_filters_find_what_the_server_would_find(races: Client, wanted: str, expected: list[str]) -> None:
    races.create_many(
        {"$id": "a", "name": "Alpha", "runners": 1, "distance": 1.5, "tags": ["fast"]},
        {"$id": "b", "name": "Beta", "runners": 2, "distance": 3, "active": True, "off_time": "2026-11-23T10:00Z"},
        {"$id": "c", "name": "Gamma", "off_time": "2026-11-23T09:00Z"},
    )
    assert races.ids(query("orderAsc", "$id"), wanted) == expected


@pytest.mark.parametrize(
    "wanted",
    [
        query("equal", "colour", ["red"]),
        query("equal", "runners", ["1"]),
        query("equal", "name"),
        query("equal", "tags", ["fast"]),
        query("sum", "runners"),
        query("limit", values=[0]),
        "not JSON",
    ],
)
def test_a_bad_query_is_refused_and_never_an_unfiltered_list(races: Client, wanted: str) -> None:
    reply = races.call("GET", ROWS, params={"queries[]": wanted})
    assert kind(reply) == "400 general_query_invalid"


def test_what_the_stand_in_lacks_is_refused_loudly(races: Client) -> None:
    for method in ("search", "startsWith", "cursorBefore"):
        reply = races.call("GET", ROWS, params={"queries[]": query(method, "name", ["a"])})
        assert kind(reply) == "501 sandbox_not_implemented"
