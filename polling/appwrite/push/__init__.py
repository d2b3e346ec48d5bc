"""Django's changes on their way to Appwrite."""
