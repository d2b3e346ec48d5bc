"""A stand-in for the part of Appwrite's REST API that the sync calls."""
