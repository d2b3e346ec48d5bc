"""The commands of `manage.py`: what staff and scripts can do without the admin.

Entries: the modules of `commands`, one for each command, which README.md lists. How arguments are read (`arguments`)
and errors become one line and an exit code (`appwrite_errors`, `exit_codes`) stays inside.
"""
