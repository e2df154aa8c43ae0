"""Signs of failure without labels and without a model: in a reply itself, and in a repeated question."""
