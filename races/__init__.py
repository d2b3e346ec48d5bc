"""The racing domain: meetings, races, runners, and what providers and staff may change; knows nothing of polling.

Entries: `ingest.apply` writes what a provider reported, `decisions` what staff or Appwrite decided, `search` finds
races by text. The pure rules are in `status`, `transitions`, `snapshots`, `search_text` and `plain_text`.
"""
