"""Stand-ins for the outside world over real HTTP: for the demo, the tests and the benchmarks.

Entries: `provider.server.make_server` and `appwrite.server.make_server`, or `manage.py sandbox`; both take faults over
HTTP (`control`). How they make their answers stays inside; nothing of the product is imported, nor imports it.
"""
