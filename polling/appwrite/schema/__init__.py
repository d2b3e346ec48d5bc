"""The two tables in Appwrite, declared by the fields of `mapping`: created, compared with what is there, watched.

`provision.plan`, `apply` and `check` are the entries, for commands and the doctor; `table_faults` knows a refusal of a
row from one of its table, and `webhook_subscription` keeps our webhook as it should be.
"""
