"""The polling of races: when, by which requests, what came back; and the sync of the races with Appwrite.

Entries: `tasks` for the queue, `views` for the site, `staff` for decisions, and within those `tick.run`, `pollers.run`,
`importing.import_schedule` and `dispatch.claim_now`. How a slot is planned, claimed and asked stays inside, in modules
that lie flat here; docs/architecture.md goes along them.
"""
