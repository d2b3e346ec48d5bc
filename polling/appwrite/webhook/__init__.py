"""Appwrite's webhook: its calls, the changes they report, and the watch over it.

`calls.Caller` and `calls.read` are for the view, `change_notifications.note` and `take` keep and hand out the rows to
look at, `watch.run` enables a webhook that Appwrite has disabled.
"""
