"""Whatever a provider sends in place of anything, it is read or it is malformed: nothing else is raised."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from polling.errors import Malformed
from polling.providers.tab_payloads import parse_event, parse_meetings
from tests.providers.payloads import WHO, fixture

JUNK: list[Any] = [
    None, True, 0, -1, 7, 1e30, float("nan"), float("inf"), 10**400, "", "junk", "9" * 5000, "\x00", [], [None], [[]],
    {}, {"a": {}}, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
]  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a payload, outermost first."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """A copy with the value at the path replaced."""
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], junk)
    return copy


@pytest.mark.parametrize(
    ("name", "parse"),
    [
        ("event_open", parse_event),
        ("event_final", parse_event),
        ("meetings", parse_meetings),
    ],
)
def test_junk_anywhere_is_read_or_malformed(name: str, parse: Callable[..., Any]) -> None:
    payload = fixture(name)
    read = 0
    for path in paths(payload):
        for junk in JUNK:
            try:
                parse(replaced(payload, path, junk), **WHO)
            except Malformed:
                continue
            read += 1
    assert read > len(JUNK)  # most junk is in optional fields, and costs nothing
