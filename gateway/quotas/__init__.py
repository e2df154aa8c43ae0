"""Limits and budgets of keys, tasks and upstreams.

A request reserves before its call and settles after it. Everything is counted in memory; no method waits for a disk.
"""
