"""The Django project: what is set, where pages are, and how a login is limited.

Entries: `settings`, `urls` and `wsgi`, which Django names, and `database_errors` for commands. How environment
variables are read and checked (`environment`, `service_urls`, `unknown_variables`) stays inside.
"""
