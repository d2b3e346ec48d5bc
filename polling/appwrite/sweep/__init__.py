"""The full pass over Appwrite: every row against what is known of it, and which poll logs are gone.

It finds what no pull can: deletions, back-dated writes, recreated tables. `run.run` is the entry, `run.preview` its
dry run.
"""
