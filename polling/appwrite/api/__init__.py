"""Calls to Appwrite's REST API, with every failure one of our errors."""
