"""When we ask, whom we ask, what came back, and keeping Appwrite equal."""
