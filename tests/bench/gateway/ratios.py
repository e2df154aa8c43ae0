"""Two gateways on one core, loaded in turns: a machine whose speed wanders slows both. Medians, and ratios by round."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.gateway.cases import Scenario
from tests.bench.gateway.process import family
from tests.bench.gateway.targets import Target

NUMBERS = ("rps", "p50", "p99", "cpu_us")

Runs = Mapping[tuple[int, str], Mapping[str, list[float]]]
"""The values of every round, by connections and number, and by target."""


def scheduled_s(pid: int) -> float:
    """Return the CPU time of a process and all that it started, in seconds, as exactly as the scheduler counts it."""
    files = [file for member in family(pid) for file in Path(f"/proc/{member}/task").glob("*/schedstat")]
    return sum(int(file.read_text(encoding="utf-8").split()[0]) for file in files) / 1e9


def loaded_in_turns(
    scenario: Scenario, targets: Mapping[str, Target], folder: Path, rounds: int, seconds: float
) -> Runs:
    """Load the targets in every case of a scenario, ``seconds`` each; every second round begins with the last one."""
    kept: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for case in scenario.cases:
            for name in sorted(targets, reverse=number % 2 == 1):
                before = scheduled_s(targets[name].pid)
                values = scenario.measure(case, targets[name], folder, seconds)
                used = 1e6 * (scheduled_s(targets[name].pid) - before) / values["answered"]
                for what, value in {**values, "cpu_us": used}.items():
                    kept[case.connections, what][name].append(value)
    return kept


def table(runs: Runs, old: str, new: str) -> Iterator[str]:
    """Yield the lines of a table in Markdown: medians of two targets, and the median of the ratios within rounds."""
    yield f"| connections | number | {old} | {new} | ratio |"
    yield "|---|---|---|---|---|"
    for (connections, what), values in runs.items():
        if what in NUMBERS:
            ratio = statistics.median(after / before for after, before in zip(values[new], values[old], strict=True))
            before, after = statistics.median(values[old]), statistics.median(values[new])
            yield f"| {connections} | {what} | {before:,.2f} | {after:,.2f} | {ratio:.3f} |"
