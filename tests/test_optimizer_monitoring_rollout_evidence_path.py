"""The path of a trial's evidence: every look that saw something new, thinned as it grows, without a bound never."""

import itertools

import msgspec

from optimizer.monitoring.rollout.comparison import ArmCounts
from optimizer.monitoring.rollout.evidence_path import MOST, PathBook
from optimizer.monitoring.rollout.guardrails import Guardrail
from optimizer.monitoring.rollout.status import Compared


def compared(seen: int, e_value: float = 1.0, version: int = 2, since: float = 0.0) -> Compared:
    """A comparison at a look."""
    return Compared(
        subject="trial", version=version, since=since, challenger=ArmCounts(seen=seen), incumbent=ArmCounts(),
        guardrails=(Guardrail(name="bad replies", e_value=e_value, limit=1000.0, why="x"),),
    )  # fmt: skip


def test_a_look_that_saw_nothing_new_leaves_the_book_alone() -> None:
    """It is not written again every few seconds."""
    book = PathBook().after([compared(3)], 10.0)
    assert book.after([compared(3)], 20.0) is book
    assert PathBook().after([compared(0)], 10.0).paths == ()


def test_each_look_is_a_point_with_the_evidence_of_every_guardrail() -> None:
    """In order of time, with the limit that ends the version."""
    book = PathBook().after([compared(3, 0.5)], 10.0).after([compared(5, 2.0)], 20.0)
    (path,) = book.paths
    assert [(point.at, point.seen, point.e_values) for point in path.points] == [
        (10.0, 3, {"bad replies": 0.5}), (20.0, 5, {"bad replies": 2.0}),
    ]  # fmt: skip
    assert path.limits == {"bad replies": 1000.0}


def test_a_long_trial_keeps_its_beginning_its_end_and_few_points() -> None:
    """Ten thousand looks a minute apart."""
    book = PathBook()
    for look in range(10_000):
        book = book.after([compared(look + 1, 1.0 + look)], 60.0 * look)
    (path,) = book.paths
    times = [point.at for point in path.points]
    assert MOST / 3 < len(times) <= MOST and times == sorted(set(times))
    assert (times[0], times[-1], path.points[-1].seen) == (0.0, 60.0 * 9999, 10_000)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps[:-1]) <= 4 * min(gaps[:-1])


def test_another_trial_has_a_path_of_its_own_and_old_ones_go() -> None:
    """The same version on trial again, too."""
    book = PathBook()
    for number in range(9):
        book = book.after([compared(3, since=float(number))], 10.0 + number)
    assert [path.since for path in book.paths] == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert msgspec.json.decode(msgspec.json.encode(book), type=PathBook) == book
