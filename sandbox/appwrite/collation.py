"""Text as MariaDB's utf8mb4_general_ci compares it: without case, accents and trailing spaces."""

import unicodedata
from functools import cache


@cache
def _sort_weight(character: str) -> str:
    if ord(character) > 0xFFFF:
        return "\ufffd"  # this collation holds all characters beyond the basic plane equal
    base = unicodedata.normalize("NFD", character)[0]
    return (base if base.isascii() else character).upper()[0]


def fold(text: str) -> str:
    """A key that is equal for texts that the server holds equal, and sorts as the server sorts."""
    folded = text.upper() if text.isascii() else "".join(map(_sort_weight, text))
    return folded.rstrip(" ")
