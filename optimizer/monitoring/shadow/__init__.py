"""A share of a task's requests, sent to its other model in the background, within a budget; the grader compares."""
