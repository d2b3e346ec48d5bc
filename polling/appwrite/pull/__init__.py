"""Appwrite's changes on their way to Django."""
