"""The pages of the sync with Appwrite: its state, conflicts, sync states, unmatched rows and own records.

`page.urls` has the sync page; importing this package registers all others with the admin.
"""

from polling.admin.sync import conflict, records, state, unmatched_row  # noqa: F401
