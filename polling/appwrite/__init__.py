"""Keeps the races of Django and the rows of Appwrite equal, and sends poll logs there; `docs/sync.md` is its promise.

The passes are `push.run`, `pull.run` and `sweep.run`, each with a `preview`; `status.numbers` is how they stand. What
counts is decided in pure modules: `mapping`, what a row holds, and `merge`, whose value of a field it is. Every call to
Appwrite goes through `api`; pages and commands also use `sync_state`, `checkpoints` and `conflict_resolution`.
"""
