"""Appwrite: the client, the tables, and the two-way sync."""
