"""JSON from outside, read within limits: of size, depth, number of values and character sets.

A small body can become a great deal of memory: 16 MB of `{},{},…` are five million objects. So the bytes are looked at
before they are read, in passes that cost a few milliseconds per megabyte whatever they contain.
"""

import codecs
import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """`values` counts objects, lists, members and elements; `depth` counts brackets inside each other."""

    size: int = 16 * 1024 * 1024
    depth: int = 64
    values: int = 500_000


LIMITS = Limits()  # a card of 750 races has about 25,000 values, and a depth of 8

# The closing quote and what a backslash stands before may be missing: a match never fails, so it never starts again.
STRING = re.compile(r'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
ALL_BUT_BRACKETS = re.compile(r"[^\[\]{}]+")
SEPARATORS = ",:[{"

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Names of characters alone: Python also "decodes" base64, zip files and domain names.
CHARSET = re.compile(
    r"(utf|utf-?8|utf-?16|utf-?32|utf-?(16|32)-?[bl]e|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|shift_jis\w*|euc_\w+"
    r"|gb2312|gbk|gb18030|big5\w*|hz|tis-620)"
)


class JsonRefused(ValueError):
    """The body is not JSON, or more of it than is read; the message says which."""


def parse(body: bytes | str, *, charset: str = "", limits: Limits = LIMITS) -> Any:
    """The value of a body. `charset` is the declared one, empty where none was. Raises JsonRefused.

    NaN and Infinity, which no JSON has, become None. Of an object's members with one name the last that is not empty
    counts. Bytes that no character is written with become U+FFFD.
    """
    if len(body) > limits.size:
        raise JsonRefused(f"more than {limits.size // 1024**2} MB")
    text = body if isinstance(body, str) else decode(body, charset)
    check(text, limits)
    try:
        return json.loads(text, object_pairs_hook=_merge_repeated_members, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as exc:
        raise JsonRefused("not JSON") from exc


def check(text: str, limits: Limits) -> None:
    """Raises JsonRefused for text that would become more than the limits allow. Reads no value."""
    structure = STRING.sub("", text)
    # Also the values between no separators: the first of each object and list is counted by its bracket.
    if sum(structure.count(separator) for separator in SEPARATORS) > limits.values:
        raise JsonRefused(f"more than {limits.values:,} values")
    depth = 0
    for bracket in ALL_BUT_BRACKETS.sub("", structure):
        depth += 1 if bracket in "[{" else -1
        if depth > limits.depth:
            raise JsonRefused(f"more than {limits.depth} levels deep")


def decode(body: bytes, charset: str = "") -> str:
    """The text of a body: by its byte order mark, by the declared charset, or as UTF-8, the first that fits.

    Where none does, the bytes that do not fit become U+FFFD, so that one wrong byte costs one character.
    """
    known = _codec_of(charset)
    marked = next((name for mark, name in BYTE_ORDER_MARKS if body.startswith(mark)), "")
    for name in filter(None, (marked, known, json.detect_encoding(body))):
        try:
            text = body.decode(name)
        except UnicodeError:
            continue
        if text.lstrip()[:1] in ("{", "["):
            return text
    # A codec in which ASCII reads the same, and which has more: then only the wrong bytes are lost.
    extends_ascii = known not in ("", "ascii") and b'{"}'.decode(known, errors="replace") == '{"}'
    return body.decode(known if extends_ascii else "utf-8", errors="replace")


def _codec_of(charset: str) -> str:
    """Python's name of a declared charset; empty for one that Python does not know, or that is none."""
    try:
        name = codecs.lookup(charset.strip(" \t'\"")).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return ""
    # As browsers do: who writes ISO-8859-1 means Windows' own, which has quotes where the other has control characters.
    return "cp1252" if name == "iso8859-1" else name if CHARSET.fullmatch(name) else ""


def _merge_repeated_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object; of those with one name the last that is not empty."""
    members = dict(pairs)
    if len(members) < len(pairs):
        members |= {name: value for name, value in pairs if value not in (None, "", [], {})}
    return members
