"""How polling and the sync stand, judged from above: by the admin's pages and by `manage.py doctor`.

Entries: `facts.read` (everything that is judged, in few queries), `rules` (one judgement per subject, for pages),
`doctor.examine` (checks that also ask Appwrite).
"""
