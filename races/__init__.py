"""The racing domain: meetings, races, runners, and what providers and staff may change; knows nothing of polling.

Entries: `ingest.apply` writes what a provider reported, `decisions` what staff or Appwrite decided, `search` finds
races by text, `race_flags` says what staff should notice. The pure rules are in `status`, `transitions`, `snapshots`,
`search_text` and `plain_text`; how a snapshot is merged (`snapshot_merge`, `answer_age`) stays inside.
"""
