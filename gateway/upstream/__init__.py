"""The wire to model servers: a Protocol (``base``), HTTP transports, and a module per kind of upstream.

Only this package imports ``httpx``.
"""
