"""Replays: our gate and the rules beside it on simulated differences, and tables of cells on two processes.

Ours is the real one, look by look as ``optimizer.distillation.confirmation.confirm`` asks it. A difference is +1 for a
reply that only the candidate has right, -1 for one that only the incumbent has right, and 0.
"""

import math
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from optimizer.statistics.adjusted_gain import LookState, state_of
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.paired_test import BOUNDARIES, Gate
from tests.bench.distillation import previous_gate

Rule = Callable[[Sequence[float]], bool]


class Replayed(NamedTuple):
    """The end of a test."""

    verdict: str
    sample: PairedSample
    looks: list[LookState]
    gate: Gate

    @property
    def better(self) -> bool:
        return self.verdict == "better"

    @property
    def may_go_on(self) -> bool:
        """Whether the last look was reached without a decision."""
        return len(self.looks) == len(BOUNDARIES) and self.verdict in ("cannot tell", "non-inferior")


def outcome(place: int | str, change: float, weight: float = 1.0) -> PairedOutcome:
    return PairedOutcome(cluster=str(place), before=float(change < 0), after=float(change > 0), weight=weight)


def replay(planned: int, sample_of: Callable[[int], PairedSample], *, level: float = 0.05, begun: int = 0) -> Replayed:
    """Put the samples of the first so many items to the gate."""
    gate, looks = Gate(planned=planned, margin=0.05, level=level, begun=begun), list[LookState]()
    for look, upto in enumerate(gate.looks(), start=1):
        sample = sample_of(upto)
        looks.append(state_of(sample, needed=gate.needed(look), level=level, futile_below=gate.futile_below(look)))
        finding = gate.judge(look, sample)
        if finding is not None:
            return Replayed(finding.verdict, sample, looks, gate)
    raise AssertionError("the last look has a finding")


def ours(
    outcomes: Sequence[PairedOutcome], *, level: float = 0.05, begun: int = 0, passed_over: float = 0.0
) -> Replayed:
    """The gate on outcomes in their order; ``passed_over`` is the weight of items without a label in all of them."""

    def sample_of(upto: int) -> PairedSample:
        return PairedSample(outcomes=tuple(outcomes[:upto]), passed_over=passed_over * upto / len(outcomes))

    return replay(len(outcomes), sample_of, level=level, begun=begun)


def mean_went_up(differences: Sequence[float]) -> bool:
    return sum(differences) > 0


def gepa(differences: Sequence[float]) -> bool:
    """Better on a minibatch of three, then by the mean."""
    return sum(differences[:3]) > 0 and sum(differences) > 0


def capo(differences: Sequence[float]) -> bool:
    """Paired t-test at 0.2, one-sided, on all items."""
    if len(differences) < 2:
        return False
    spread = statistics.stdev(differences)
    mean = statistics.fmean(differences)
    return mean > 0 and (spread == 0 or mean / spread * math.sqrt(len(differences)) > 0.8416)


OTHERS: dict[str, Rule] = {
    "327abc6": previous_gate.adopts, "mean went up": mean_went_up, "GEPA": gepa, "CAPO": capo,
}  # fmt: skip


class Table(NamedTuple):
    """A table: a row for each case, made by ``cell(runs, seed, *case)`` from dice of its own."""

    head: Sequence[str]
    cases: Sequence[tuple[Any, ...]]
    cell: Callable[..., list[object]]


def show(table: Table, runs: int, seed: int, *, only: str = "", processes: int = 2) -> None:
    """Print the rows of a table, or those that begin with ``only``."""
    cases = [case for case in table.cases if " ".join(map(str, case)).startswith(only)]
    click.echo("| " + " | ".join(table.head) + " |\n" + "|---" * len(table.head) + "|")
    with multiprocessing.Pool(processes) as pool:
        for row in pool.imap(_row, [(table.cell, runs, seed, case) for case in cases]):
            click.echo("| " + " | ".join(map(str, row)) + " |")


def _row(work: tuple[Callable[..., list[object]], int, int, tuple[Any, ...]]) -> list[object]:
    cell, runs, seed, case = work
    return cell(runs, seed, *case)


def percent(count: float, runs: int) -> str:
    return f"{100 * count / max(1, runs):.1f}"
