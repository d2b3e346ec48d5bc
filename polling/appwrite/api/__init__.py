"""Calls to Appwrite's REST API, with every failure one of our errors.

Entries: `client.connect`, `rows.Rows` (the calls of one table), `parallel.in_parallel`, `errors` (its tree at the top),
`key_scopes.missing_scopes`, and `capabilities`, where all facts about server versions stand.
"""
