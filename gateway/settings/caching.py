"""Replies that a task keeps in memory for the same request."""

from typing import Annotated

from msgspec import Meta

from gateway.settings.base import Positive, Section, doc


class Caching(Section, frozen=True):
    """Answers a request at temperature 0 from memory, if its key has sent an equal one before. Off unless it is set.

    `cache = {}` takes both defaults.
    """

    seconds: Annotated[
        Annotated[float, Meta(gt=0, le=86_400)],
        doc("Longest life of a kept reply; never longer than `server.retention_days`."),
    ] = 3600.0
    max_mb: Annotated[
        Positive, doc("Memory for the task's replies, in MB (10^6 bytes), in each worker; the least used go first.")
    ] = 100.0
