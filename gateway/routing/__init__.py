"""Pure decisions about a request: which task, which model, which rule set, in which form."""
