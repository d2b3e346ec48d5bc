"""Text from outside without control characters: cleaned to be stored, or escaped to be logged."""

import re

# Characters that end a line somewhere, or move the cursor as blanks do.
BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
# All other control characters, and characters that are invisible or change the direction of the text around them.
INVISIBLE = (
    "".join(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in BREAKS)
    + "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
TO_ONE_LINE = str.maketrans({**dict.fromkeys(BREAKS, " "), **dict.fromkeys(INVISIBLE, "")})
TO_LINES = str.maketrans(
    {**dict.fromkeys(BREAKS, " "), **dict.fromkeys(INVISIBLE, ""), **{kept: kept for kept in "\n\r\t"}}
)
ESCAPED = re.compile(f"[{re.escape(BREAKS + INVISIBLE)}]")


def one_line(text: str) -> str:
    """The text as one line: breaks become spaces; other control characters and lone surrogates are removed."""
    return text.translate(TO_ONE_LINE).encode(errors="ignore").decode()


def lines(text: str) -> str:
    """The text with its line ends and tabs, for notes of several lines; all else is cleaned as in `one_line`."""
    return text.translate(TO_LINES).encode(errors="ignore").decode()


def escaped(text: str) -> str:
    """The text with every control character written as Python writes it, `\\n` for a line feed; nothing is lost."""
    return ESCAPED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
