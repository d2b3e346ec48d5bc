"""Sends Django's changes to Appwrite: races that changed, rows of races that are gone, and poll logs.

Entries: `run.run` pushes, `run.preview` says what it would do, `run.retry_now` ends all waits; `full_scan.run` finds
changes that nobody reported; `expired_races.expire_races` is for whoever deletes races by age.
"""
