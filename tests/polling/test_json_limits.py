"""What JSON becomes is bounded before it is read, and its characters are those that it was written in."""

import codecs
import json
import math
from typing import Any

import pytest

from polling import json_limits
from polling.appwrite.api import client
from polling.json_limits import JsonRefused, Limits, parse

SMALL = Limits(size=200, depth=4, values=10)


def refusal(body: bytes | str, limits: Limits = SMALL) -> str:
    with pytest.raises(JsonRefused) as caught:
        parse(body, limits=limits)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"[" + b"{}," * 10 + b"{}]", "more than 10 values", id="empty objects"),
        pytest.param(b"[" + b"1," * 10 + b"1]", "more than 10 values", id="numbers"),
        pytest.param(b'{"a":' * 5 + b"1" + b"}" * 5, "more than 4 levels deep", id="objects in objects"),
        pytest.param(b"[[[[[]]]]]", "more than 4 levels deep", id="lists in lists"),
        pytest.param(b"[[[[", "not JSON", id="not too deep, and not closed"),
        pytest.param(b'["' + b"x" * 200 + b'"]', "more than 0 MB", id="long text"),
        pytest.param(b'{"a": ' + b"9" * 150 + b", }", "not JSON", id="not JSON"),
        pytest.param(b"", "not JSON", id="nothing"),
    ],
)
def test_what_would_become_too_much_is_refused(body: bytes, message: str) -> None:
    assert refusal(body) == message


def test_what_stands_in_text_is_no_structure() -> None:
    text = '[[[[[{{{{{,,,,,,,,,,,::::::::::\\"]}'
    assert parse(json.dumps({"a": text}), limits=SMALL) == {"a": text}


@pytest.mark.parametrize("body", ['"' * 150, '"\\' * 75, "\\" * 150, '["\\"' * 30, '{"a":"\\'], ids=repr)
def test_quotes_that_never_close_are_not_json(body: str) -> None:
    assert refusal(body) == "not JSON"


def test_the_bound_of_values_counts_no_more_than_the_body_has() -> None:
    """Whoever counts too little lets a body through that becomes too much: a value more than the bound is refused."""
    for body in ("[1,2,3,4,5,6,7,8,9]", '{"a":1,"b":2,"c":[1]}'):
        count = sum(body.count(mark) for mark in ",:[{")
        assert parse(body, limits=Limits(values=count)) == json.loads(body)
        assert refusal(body, Limits(values=count - 1)) == f"more than {count - 1} values"


def test_a_bomb_of_sixteen_megabytes_is_refused_before_any_of_it_is_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(json, "loads", read)
    body = b'{"data":[' + b"{}," * 5_000_000 + b"{}]}"
    assert refusal(body, json_limits.LIMITS) == "more than 500,000 values"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param('{"a": NaN, "b": -Infinity, "c": Infinity}', {"a": None, "b": None, "c": None}, id="no numbers"),
        pytest.param('{"a": 1, "a": 2}', {"a": 2}, id="the later of two"),
        pytest.param('{"a": 1, "a": null, "b": [1], "b": []}', {"a": 1, "b": [1]}, id="what says something"),
        pytest.param('{"a": null, "a": ""}', {"a": ""}, id="two that say nothing"),
        pytest.param('{"a": "\\ud800"}', {"a": "\ud800"}, id="half a character"),
        pytest.param('{"a": "\\u0000"}', {"a": "\x00"}, id="NUL"),
    ],
)
def test_what_json_leaves_open_is_read_one_way(body: str, expected: Any) -> None:
    assert parse(body) == expected


def test_a_number_beyond_all_bounds_is_refused_or_infinite() -> None:
    assert refusal("[" + "9" * 5000 + "]", json_limits.LIMITS) == "not JSON"
    assert parse("[1e999]") == [math.inf]


NAME = "Café Inventé"
BODY = f'{{"name": "{NAME}"}}'


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        pytest.param(BODY.encode(), "", id="UTF-8, not declared"),
        pytest.param(BODY.encode(), "utf8", id="UTF-8 by another name"),
        pytest.param(BODY.encode("iso-8859-1"), "ISO-8859-1", id="Latin 1"),
        pytest.param(BODY.encode("iso-8859-15"), '"iso-8859-15"', id="Latin 9 in quotes"),
        pytest.param(BODY.encode("cp1252"), "windows-1252", id="Windows"),
        pytest.param(BODY.encode("mac-roman"), "macintosh", id="Macintosh"),
        pytest.param(BODY.encode("utf-16"), "", id="UTF-16 with its mark"),
        pytest.param(BODY.encode("utf-16-le"), "utf-16-le", id="UTF-16, declared"),
        pytest.param(BODY.encode("utf-16-be"), "", id="UTF-16, not declared"),
        pytest.param(BODY.encode("utf-32"), "utf-8", id="UTF-32 with its mark, declared as another"),
        pytest.param(codecs.BOM_UTF8 + BODY.encode(), "", id="UTF-8 with a mark"),
        pytest.param(codecs.BOM_UTF8 + BODY.encode(), "iso-8859-1", id="the mark counts before the declaration"),
        pytest.param(BODY.encode(), "utf-16", id="declared as what it cannot be"),
        pytest.param(BODY.encode(), "no-such-charset", id="an unknown charset"),
        pytest.param(BODY.encode(), "base64", id="no charset"),
        pytest.param(BODY.encode(), "idna", id="no charset either"),
        pytest.param(BODY.encode(), "utf\x00", id="a name with NUL"),
    ],
)
def test_text_is_read_in_its_own_charset(body: bytes, charset: str) -> None:
    assert parse(body, charset=charset) == {"name": NAME}


@pytest.mark.parametrize(
    ("charset", "expected"),
    [("", "Caf\ufffd"), ("utf-8", "Caf\ufffd"), ("ascii", "Caf\ufffd"), ("shift_jis", "Caf\ufffd"), ("x", "Caf\ufffd")],
)
def test_a_byte_that_is_of_no_character_costs_that_character_alone(charset: str, expected: str) -> None:
    assert parse(b'{"name": "Caf\x80", "number": 1}', charset=charset) == {"name": expected, "number": 1}


def test_an_answer_of_appwrite_is_bounded_as_well() -> None:
    assert client.parse_object('{"rows": [' + "{}," * 600_000 + "{}]}") is None
    assert client.parse_object('{"rows": ' + "[" * 70 + "]" * 70 + "}") is None
    assert client.parse_object('{"rows": [{}]}') == {"rows": [{}]}
