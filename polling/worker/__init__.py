"""What makes django-q2 trustworthy: ticks to the second, processes that are watched and restarted."""
