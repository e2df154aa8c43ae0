"""The start parameters of a worker. A module of its own: the supervisor imports it without the serving code."""

import msgspec


class WorkerParameters(msgspec.Struct, frozen=True, kw_only=True):
    """One line of JSON on a worker's stdin."""

    number: int
    """From 0."""
    parent: int
    """The supervisor's process id."""
    listeners: tuple[int, ...]
    """File descriptors of bound sockets."""
    counts: str
    """Folder of the workers' counts, and of the recorder's socket."""
    config: str | None
    """The path given with ``-c``."""
    given: dict[str, str | int]
    """Settings of the section ``server`` from the command line."""
