"""The two tables in Appwrite: declared, created, compared with what is there."""
