"""Appwrite's changes on their way to Django: read, matched with races, merged.

`run.run` is the entry, for all that changed or for the rows that a webhook reported; `run.preview` is its dry run.
The sweep brings rows in by `inbound` too.
"""
