"""Everything that a run of the benchmark found, as it is written to a file and read back for its tables."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from gateway.domain import Value
from tests.bench.gateway.rounds import Run


class Memory(Value, frozen=True):
    """Resident memory of a target in MB (10^6 bytes), its children included."""

    target: str
    idle: float
    loaded: float
    """The most that was seen in any run."""
    afterwards: float


class Slice(Value, frozen=True):
    """A part of a soak: when it ended, in minutes, what was served and how much memory it took then."""

    minutes: float
    rps: float
    rss_mb: float


class Results(Value, frozen=True):
    """What was asked for, what was found, and where."""

    machine: dict[str, str]
    rounds: int
    seconds: float
    wobble: float
    """Share by which a direct run may differ from the median of all."""
    runs: Sequence[Run] = ()
    memory: Sequence[Memory] = ()
    soak: Sequence[Slice] = ()
    dropped: float = 0
    """Exchanges that our gateway's queue was too short for."""


def write(results: Results, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))


def read(path: Path) -> Results:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError) as error:
        raise click.ClickException(f"{path} holds no results: {error}") from error
