"""What several workers counted, added up: each keeps its metrics in a file of its own, and the one that is asked adds.

A file outlives its worker, and the next one with the same number counts on from there: a crash costs what was counted
since the last write. Gauges are of the moment, so a file says until when they hold. Knows nothing of what is counted,
but for the one gauge that is the same in every worker.
"""

import logging
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.domain import Value

log = logging.getLogger(__name__)

SUFFIX = ".counts"
_ALIKE = "preceptor_rules_version"
"""A gauge that tells the same in every worker, or will within a second."""

Labels = tuple[tuple[str, str], ...]


class Family(Value, frozen=True):
    """One metric with all its samples."""

    name: str
    text: str
    kind: str
    samples: tuple[tuple[str, Labels, float], ...]


class CountsFile(Value, frozen=True):
    """What a worker's file holds."""

    good_until: float
    """When its gauges stop to be true, in seconds since the epoch."""
    families: tuple[Family, ...] = ()


_encode = msgspec.msgpack.Encoder().encode  # unlike JSON it has every float
_decode = msgspec.msgpack.Decoder(CountsFile).decode


def families(metrics: Iterable[Metric]) -> list[Family]:
    """What a registry collects, as values."""
    return [
        Family(
            name=metric.name,
            text=metric.documentation,
            kind=metric.type,
            samples=tuple((one.name, tuple(one.labels.items()), one.value) for one in metric.samples),
        )
        for metric in metrics
    ]


class WorkerCounts:
    """The counts of worker ``number`` in a folder that all share. Blocks on files; ``now`` is since the epoch."""

    def __init__(self, folder: Path, number: int, now: Callable[[], float]) -> None:
        self._path = folder / f"{number}{SUFFIX}"
        self._now = now
        self._before = _lasting(self._read(self._path))
        self._good_for_s = 0.0
        self._failure = ""
        self._writing = threading.Lock()

    def keep(self, mine: Sequence[Family], good_for_s: float) -> None:
        """Write down what this worker counted, for the others and for whoever comes after it.

        A file that cannot be written is said once: requests go on.
        """
        self._good_for_s = good_for_s
        snapshot = CountsFile(good_until=self._now() + good_for_s, families=tuple(added([*self._before, *mine])))
        fresh = self._path.with_suffix(".new")
        with self._writing:
            try:
                fresh.write_bytes(_encode(snapshot))
                fresh.replace(self._path)
                self._failure = ""
            except OSError as error:
                if str(error) != self._failure:
                    log.warning("counts cannot be kept: %s", error, extra={"action": "workers.counts"})
                self._failure = str(error)

    def total(self, mine: Sequence[Family]) -> bytes:
        """What all workers counted, in Prometheus' text format."""
        self.keep(mine, self._good_for_s)  # so that the others tell no less from now on
        parts = [*mine, *self._before]
        for path in sorted(self._path.parent.glob(f"*{SUFFIX}")):
            if path != self._path:
                snapshot = self._read(path)
                parts += snapshot.families if snapshot.good_until > self._now() else _lasting(snapshot)
        registry = CollectorRegistry()
        registry.register(_Collected(added(parts)))
        return generate_latest(registry)

    @staticmethod
    def _read(path: Path) -> CountsFile:
        try:
            return _decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            return CountsFile(good_until=0)


def _lasting(snapshot: CountsFile) -> list[Family]:
    return [family for family in snapshot.families if family.kind != "gauge"]


def added(parts: Iterable[Family]) -> list[Family]:
    """One family of each name: its samples added up."""
    found: dict[str, Family] = {}
    sums: dict[str, dict[tuple[str, Labels], float]] = {}
    for family in parts:
        found.setdefault(family.name, family)
        total = sums.setdefault(family.name, {})
        for name, labels, value in family.samples:
            known = total.get((name, labels))
            total[name, labels] = value if known is None else _together(family, name)(known, value)
    return [
        msgspec.structs.replace(family, samples=tuple((*key, value) for key, value in sums[name].items()))
        for name, family in found.items()
    ]


def _together(family: Family, sample: str) -> Callable[[float, float], float]:
    if sample.endswith("_created") and family.kind != "gauge":
        return min
    return max if family.name == _ALIKE else operator.add


class _Collected(Collector):
    """Values as the registry wants them."""

    def __init__(self, found: Sequence[Family]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        for family in self._found:
            metric = Metric(family.name, family.text, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric
