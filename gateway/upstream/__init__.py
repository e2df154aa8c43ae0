"""The wire to model servers: one Protocol (``base``), one HTTP transport, one module per kind of upstream.

``import httpx`` stays inside this package.
"""
