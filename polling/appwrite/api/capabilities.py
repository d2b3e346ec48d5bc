"""What differs between versions of Appwrite, and the row by which a server shows what it can do."""

from django.conf import settings

OLDEST_SERVER = (1, 8)
# Before it two writers that race may both pass the comparison, so each change is read back.
SAFE_COMPARE_AND_SET = (1, 9)

# In the table of poll logs, which is never pulled: it is no race to us, nor to anybody who reads the races.
CANARY_TABLE, CANARY = "poll_logs", "racepoll-canary"


def canary_path() -> str:
    """The path of the row that may be removed at any time."""
    return f"/tablesdb/{settings.APPWRITE_DATABASE_ID}/tables/{CANARY_TABLE}/rows/{CANARY}"
