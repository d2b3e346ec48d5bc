"""The full comparison of Appwrite's rows with what is known of them."""
