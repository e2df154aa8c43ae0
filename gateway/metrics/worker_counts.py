"""The metrics of several workers, added up at every scrape. Each worker writes its own to a file.

A file outlives its worker, and the next worker with the same number continues from it: a crash loses the counts since
the last write. Gauges are momentary, so a file has an expiry time for them. Adding needs no knowledge of the metrics,
except for a gauge with the same value in every worker.
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
_ALIKE = frozenset({"preceptor_rules_version", "preceptor_store_bytes"})
"""Gauges with the same value in every worker, within a minute: not to be added up."""

Labels = tuple[tuple[str, str], ...]


class Family(Value, frozen=True):
    """A metric with all its samples."""

    name: str
    text: str
    kind: str
    samples: tuple[tuple[str, Labels, float], ...]


class CountsFile(Value, frozen=True):
    """The content of a worker's file."""

    good_until: float
    """Expiry time of the gauges, in seconds since the epoch."""
    families: tuple[Family, ...] = ()


_encode = msgspec.msgpack.Encoder().encode  # unlike JSON, it can encode every float
_decode = msgspec.msgpack.Decoder(CountsFile).decode


def families(metrics: Iterable[Metric]) -> list[Family]:
    """Return a registry's metrics as values."""
    return [
        Family(
            name=metric.name,
            text=metric.documentation,
            kind=metric.type,
            samples=tuple((sample.name, tuple(sample.labels.items()), sample.value) for sample in metric.samples),
        )
        for metric in metrics
    ]


class WorkerCounts:
    """The counts of worker ``number``, in a folder shared by all workers.

    Blocks on files. ``now`` is in seconds since the epoch.
    """

    def __init__(self, folder: Path, number: int, now: Callable[[], float]) -> None:
        self._path = folder / f"{number}{SUFFIX}"
        self._now = now
        self._before = _lasting(self._read(self._path))
        self._good_for_s = 0.0
        self._failure = ""
        self._writing = threading.Lock()

    def keep(self, mine: Sequence[Family], good_for_s: float) -> None:
        """Write this worker's counts, for the other workers and for its successor.

        A failure is logged once, and requests go on.
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
        """Return the counts of all workers in Prometheus' text format."""
        self.keep(mine, self._good_for_s)  # a later scrape of another worker must not show lower counts
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
    """Return a family for each name, with the samples added up."""
    by_name: dict[str, Family] = {}
    sums: dict[str, dict[tuple[str, Labels], float]] = {}
    for family in parts:
        by_name.setdefault(family.name, family)
        total = sums.setdefault(family.name, {})
        for name, labels, value in family.samples:
            known = total.get((name, labels))
            total[name, labels] = value if known is None else _together(family, name)(known, value)
    return [
        msgspec.structs.replace(family, samples=tuple((*key, value) for key, value in sums[name].items()))
        for name, family in by_name.items()
    ]


def _together(family: Family, sample: str) -> Callable[[float, float], float]:
    if sample.endswith("_created") and family.kind != "gauge":
        return min
    return max if family.name in _ALIKE else operator.add


class _Collected(Collector):
    """Families as a collector for a registry."""

    def __init__(self, collected: Sequence[Family]) -> None:
        self._families = collected

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric
