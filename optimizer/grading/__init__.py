"""Graders compare replies with expected answers; sandboxes run code for them."""
