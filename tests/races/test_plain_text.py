"""Control characters in text from outside."""

import pytest

from races.plain_text import escaped, lines, one_line

FORGED = "Park\n2026-11-28 ERROR polling: forged"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FORGED, "Park 2026-11-28 ERROR polling: forged"),
        ("a\r\nb", "a  b"),
        ("a\x00\x1b[31mb\x7f\x9b", "a[31mb"),
        ("a\u2028b\x85c", "a b c"),
        ("\u202eabc\u2066\ufeff", "abc"),
        ("half \ud800", "half "),
        ("Pāua 熊本 O'Neill", "Pāua 熊本 O'Neill"),
    ],
    ids=ascii,
)
def test_one_line_is_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_what_people_write_in_lines_keeps_them() -> None:
    assert lines("first\r\nsecond\n\tthird\x00\x1b\u2028") == "first\r\nsecond\n\tthird "


def test_what_is_escaped_loses_nothing() -> None:
    assert escaped("a\nb\x00\u202e\x1b Pāua") == "a\\nb\\x00\\u202e\\x1b Pāua"


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029])
def test_no_control_character_is_left(code: int) -> None:
    assert one_line(f"a{chr(code)}b") in ("a b", "ab")
    assert chr(code) not in escaped(f"a{chr(code)}b")
