"""Signs of failure that need no label and no model: in a reply itself, and in a question that is asked again."""
