"""Where exchanges, feedback, rule sets and cycles are kept. Not on the request path: reads come from
``rules.snapshot``, writes go through ``writer``."""
