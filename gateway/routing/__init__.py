"""Pure decisions about a request: its task, its model, its rule set and its form."""
