"""Putting models to work: answers through cache, ledger and bounded concurrency, and what a trial is."""
