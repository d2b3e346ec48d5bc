"""What makes django-q2 reliable: ticks to the second, worker pools that are watched and started again.

Entries: `supervisor` (what `manage.py qcluster` becomes), `pool.run` (one of its children), `broker` (named in the
settings), `dev_processes` and `instance_lock` (for `manage.py up`). Ticker, watchdog and the ways in which processes
end together stay inside.
"""
