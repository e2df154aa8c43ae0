"""One learning cycle, from mistakes to a published rule set: induction, selection, confirmation."""
