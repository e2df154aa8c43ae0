"""Prometheus metrics: updated where things happen, and added up over the processes that serve."""
