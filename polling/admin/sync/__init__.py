"""The sync with Appwrite: its page, its conflicts, and what is known of the rows there."""

from polling.admin.sync import conflict, records, state, unmatched_row  # noqa: F401
