"""Rounds: every target in turn, framed by two direct runs; those that were not quiet are left out; medians of the rest.

A neighbour that is noisy for a minute hits a whole round. The direct runs before and after it tell, and the time that
others had on the gateway's core.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence

from gateway.domain import Value
from tests.bench.gateway.cases import Case, Scenario
from tests.bench.gateway.load import Values

DIRECT = "direct"


class Run(Value, frozen=True):
    """One target loaded once."""

    case: str
    target: str
    round: int
    values: Values


class Row(Value, frozen=True):
    """A target in a case: medians over the quiet rounds, and how far they spread."""

    case: Case
    target: str
    rounds: int
    """Quiet rounds that it rests on."""
    median: Values
    """What was measured; ``added_`` numbers are what it adds to the direct runs of the same round."""
    spread: Values
    """Half of the range between the lowest and the highest round."""


def play(
    scenario: Scenario, names: Sequence[str], rounds: int, measure: Callable[[Case, str], Values]
) -> Iterable[Run]:
    """All runs of a scenario in their order: round by round, case by case, each case from direct to direct."""
    for number in range(min(rounds, scenario.rounds)):
        for case in scenario.cases:
            for name in (DIRECT, *names, DIRECT):
                yield Run(case=case.name, target=name, round=number, values=measure(case, name))


def noisy(scenario: Scenario, case: Case, runs: Sequence[Run], share: float) -> dict[int, str]:
    """Rounds that were not quiet, and why.

    A direct run was further from the median of all than ``share``, or others had more than that of the gateway's core
    while a target was on it, which no direct run can tell.
    """
    of_case = [run for run in runs if run.case == case.name]
    direct = [run for run in of_case if run.target == DIRECT]
    usual = statistics.median(run.values.get(scenario.steady, 0.0) for run in direct)
    found: dict[int, str] = {}
    for run in direct:
        away = abs(run.values.get(scenario.steady, 0.0) - usual)
        if away > max(share * usual, scenario.floor):
            found[run.round] = f"direct runs {away / usual:.0%} off"
    for run in of_case:
        if run.target != DIRECT and run.values["foreign"] > share:
            found.setdefault(run.round, f"others had {run.values['foreign']:.0%} of the core beside {run.target}")
    return found


def rows(scenario: Scenario, runs: Sequence[Run], share: float) -> list[Row]:
    """The table of a scenario, from its quiet rounds."""
    table = []
    measured = {run.case for run in runs}
    for case in scenario.cases:
        if case.name not in measured:
            continue
        left_out = noisy(scenario, case, runs, share)
        quiet = [run for run in runs if run.case == case.name and run.round not in left_out]
        for target in dict.fromkeys(run.target for run in runs if run.case == case.name):
            seen = _by_round(scenario, quiet, target)
            keys = [key for key in seen[0] if all(key in values for values in seen)] if seen else []
            column = {key: [values[key] for values in seen] for key in keys}
            table.append(
                Row(
                    case=case,
                    target=target,
                    rounds=len(seen),
                    median={key: statistics.median(found) for key, found in column.items()},
                    spread={key: (max(found) - min(found)) / 2 for key, found in column.items()},
                )
            )
    return table


def _by_round(scenario: Scenario, runs: Sequence[Run], target: str) -> list[Values]:
    """A target's numbers of each round, with what it added to that round's direct runs."""
    found = []
    for number in dict.fromkeys(run.round for run in runs):
        of_round = [run for run in runs if run.round == number]
        direct = _mean([run.values for run in of_round if run.target == DIRECT])
        values = _mean([run.values for run in of_round if run.target == target])
        added = {f"added_{key}": values[key] - direct[key] for key in scenario.added if key in values and key in direct}
        found.append({**values, **added})
    return found


def _mean(several: Sequence[Values]) -> Values:
    shared = [key for key in several[0] if all(key in values for values in several)]
    return {key: statistics.fmean(values[key] for values in several) for key in shared}
