"""The rule sets that are live: one immutable snapshot, swapped by one assignment."""
