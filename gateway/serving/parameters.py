"""What a supervisor tells a worker. A module of its own, because the supervisor is to load none of what serves."""

import msgspec


class WorkerParameters(msgspec.Struct, frozen=True, kw_only=True):
    """One line of JSON on a worker's stdin."""

    number: int
    """From 0."""
    parent: int
    """The supervisor's process id."""
    listener: int
    """File descriptor of a bound socket."""
    counts: str
    """Folder for what the workers count."""
    config: str | None
    """What ``-c`` said."""
    given: dict[str, str | int]
    """What the command line set in the section ``server``."""
