"""Statistics: the paired test, its level, evidence under constant watching, and drift. Numbers only."""
