"""What differs between the versions of Appwrite: every such fact that the sync relies on stands here.

| from | what |
|---|---|
| 1.8 | rows under /tablesdb, and compare-and-set on one row; 1.7 ignores the header and takes stale writes |
| 1.9 | compare-and-set that also holds against a writer at the same instant; `$sequence` as text; webhooks by key |

The row that shows whether a server compares and sets is the canary; `server_probe` writes and removes it.
"""

import re
from typing import Any
from urllib.parse import unquote

from django.conf import settings

Version = tuple[int, ...]  # (1, 9, 6)

OLDEST_SERVER: Version = (1, 8)
SAFE_COMPARE_AND_SET: Version = (1, 9)
SUPPORTED = "1.8 or newer is needed, 1.9 recommended"
NO_COMPARE_AND_SET = (
    "this Appwrite takes a write that was made against an older state of the row (no compare-and-set): "
    f"nothing is pushed, as edits would be lost; {SUPPORTED}"
)
RACY_COMPARE_AND_SET = (
    "two writers that race may both pass 1.8's compare-and-set, so each change is read back; 1.9 is recommended"
)

# In the table of poll logs, which is never pulled: so nobody who reads the races takes it for one.
CANARY_TABLE, CANARY = "poll_logs", "racepoll-canary"
CANARY_ROW = {"$id": CANARY, "message": "whether a stale write is refused"}

TEXT_COLUMN = "string"  # the only kind of text column of 1.8; the SDK, made for newer ones, warns of it
NO_TOTAL = {"total": 0}  # spares the server a count; the word "false" would be true to it, and 1.8.0 knows neither


def parse_version(text: str) -> Version | None:
    """The version that `/health/version` reports, as numbers; None for anything else."""
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d+(\.\d+)+", text) else None


def version_text(version: Version) -> str:
    """A version as Appwrite writes it: "1.9.6"."""
    return ".".join(map(str, version))


def response_format(version: Version) -> str:
    """The format to ask for. A newer one than the server's, as the SDK's own is, makes it warn with every reply."""
    return version_text(version)


def must_read_back(version: Version) -> bool:
    """Whether two racing writers may both pass compare-and-set, so that the reply to a write proves nothing."""
    return version < SAFE_COMPARE_AND_SET


def with_text_sequences(body: dict[str, Any]) -> dict[str, Any]:
    """The body with every `$sequence` as text: before 1.9 it is a number, which the SDK's models refuse."""
    rows = body.get("rows")
    for row in [body, *(rows if isinstance(rows, list) else [])]:
        if isinstance(row, dict) and isinstance(row.get("$sequence"), int):
            row["$sequence"] = str(row["$sequence"])
    return body


def signed_urls(url: str) -> tuple[str, str]:
    """The texts that a webhook's URL may be signed as: as it was registered, or with its escapes resolved (1.8)."""
    return url, unquote(url)


def canary_path() -> str:
    """The path of the canary, which may be removed at any time."""
    return f"/tablesdb/{settings.APPWRITE_DATABASE_ID}/tables/{CANARY_TABLE}/rows/{CANARY}"
