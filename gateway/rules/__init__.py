"""Decisions about rule sets: their history, versions and files, and the watch over the store for new decisions."""
