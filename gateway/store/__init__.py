"""The store of exchanges, feedback, rule sets and cycles.

It is not on the request path: a request reads ``routing.rule_snapshot``, and hands its exchange to a ``recorder``.
"""
