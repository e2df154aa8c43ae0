"""Counts of several workers: added up whoever is asked, kept when a worker dies, gauges for as long as they hold."""

import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.metrics.worker_counts import Family, WorkerCounts, families


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counted(requests: int, *, waiting: float = 0, rules: float = 0) -> list[Family]:
    """A worker's metrics, as the client library makes them."""
    registry = CollectorRegistry()
    Counter("requests", "Requests.", ["task"], registry=registry).labels("sums").inc(requests)
    Gauge("waiting", "Waiting.", registry=registry).set(waiting)
    Gauge("preceptor_rules_version", "Rules.", registry=registry).set(rules)
    Histogram("seconds", "Times.", buckets=(1.0,), registry=registry).observe(requests)
    return families(registry.collect())


def lines(text: bytes) -> set[str]:
    return {line for line in text.decode().splitlines() if not line.startswith("#")}


def test_the_counts_of_all_workers_are_added(tmp_path: Path, clock: Clock) -> None:
    """Counters, every bucket and sum of a histogram, and gauges; what is the same in all is not added."""
    first, second = (WorkerCounts(tmp_path, number, clock) for number in (0, 1))
    second.keep(counted(2, waiting=3, rules=5), 3)
    told = lines(first.total(counted(1, waiting=4, rules=5)))
    assert told >= {
        'requests_total{task="sums"} 3.0', "waiting 7.0", "preceptor_rules_version 5.0",
        'seconds_bucket{le="1.0"} 1.0', 'seconds_bucket{le="+Inf"} 2.0', "seconds_count 2.0", "seconds_sum 3.0",
    }  # fmt: skip


def test_when_counting_began_is_not_added(tmp_path: Path, clock: Clock) -> None:
    """It is the time of the first."""
    first, second = (WorkerCounts(tmp_path, number, clock) for number in (0, 1))
    early, late = counted(1), counted(1)
    second.keep(early, 3)
    began = next(value for family in early for name, _, value in family.samples if name == "requests_created")
    told = next(line for line in lines(first.total(late)) if line.startswith("requests_created"))
    assert float(told.split()[1]) == began


def test_a_worker_that_died_still_counts(tmp_path: Path, clock: Clock) -> None:
    """But nothing waits in it any more."""
    WorkerCounts(tmp_path, 1, clock).keep(counted(2, waiting=3), 3)
    clock.now += 3
    total = lines(WorkerCounts(tmp_path, 0, clock).total(counted(1)))
    assert total >= {'requests_total{task="sums"} 3.0', "waiting 0.0"}


def test_a_worker_counts_on_from_the_one_before_it(tmp_path: Path, clock: Clock) -> None:
    """For itself and for the others, however often it is started again."""
    for _ in range(3):
        WorkerCounts(tmp_path, 1, clock).keep(counted(2), 3)
    again = WorkerCounts(tmp_path, 1, clock)
    assert 'requests_total{task="sums"} 7.0' in lines(again.total(counted(1)))
    assert 'requests_total{task="sums"} 8.0' in lines(WorkerCounts(tmp_path, 0, clock).total(counted(1)))


def test_what_was_told_is_known_to_the_others(tmp_path: Path, clock: Clock) -> None:
    """Or a counter would go back when another worker is asked next."""
    WorkerCounts(tmp_path, 0, clock).total(counted(5))
    assert 'requests_total{task="sums"} 5.0' in lines(WorkerCounts(tmp_path, 1, clock).total(counted(0)))


def test_a_folder_that_is_gone_is_said_once(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """And this worker's own counts are still told."""
    counts = WorkerCounts(tmp_path / "gone", 0, clock)
    with caplog.at_level(logging.WARNING):
        counts.keep(counted(1), 3)
        assert 'requests_total{task="sums"} 1.0' in lines(counts.total(counted(1)))
    assert [record.__dict__["action"] for record in caplog.records] == ["workers.counts"]


def test_a_file_that_is_no_counts_is_left_out(tmp_path: Path, clock: Clock) -> None:
    """Whatever wrote it."""
    (tmp_path / "1.counts").write_bytes(b"\xff\x00")
    assert 'requests_total{task="sums"} 1.0' in lines(WorkerCounts(tmp_path, 0, clock).total(counted(1)))
