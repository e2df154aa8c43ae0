"""Prometheus metrics of a gateway, added up over its worker processes."""
