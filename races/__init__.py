"""What is true of racing; knows nothing of polling or Appwrite."""
