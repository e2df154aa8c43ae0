"""Money: counted by day, key, task, arm and model, kept in the store, and shown."""
