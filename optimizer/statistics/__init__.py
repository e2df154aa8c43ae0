"""From a candidate to a verdict: the paired test, how strict it is, and how noisy what it looks at is."""
