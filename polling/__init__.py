"""The polling of races: when, by which requests, what came back; and the sync of the races with Appwrite."""
