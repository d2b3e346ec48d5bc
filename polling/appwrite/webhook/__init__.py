"""Appwrite's webhook: its registration, its calls, and the changes they announce."""
