"""How soon do the alarms of the live loop ring, and how often for nothing? Seeded simulation; no model needed.

Prints tables in Markdown. What stands in them, and how to read them: ``README.md``.
"""

import itertools
import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import click

from optimizer.statistics.drift import DriftDetector
from optimizer.statistics.e_process import ArmOutcome, excess, harm, log_e_value

ALPHAS: Final = (0.05, 0.01)
SHARES: Final = (0.05, 0.25, 0.5, 0.95)
CAP: Final = 3000
"""Outcomes of the challenger after which a run is given up: no alarm."""
SPREAD: Final = 0.5
"""Standard deviation of the logarithm of simulated latencies."""
RATIO: Final = 1.5

Rate = Callable[[bool, int], float]
"""(from the challenger?, its position among all outcomes) -> chance to be wrong."""
Alarm = Callable[[float], int | None]
"""Simulate one run at this alpha: the challenger's outcomes at the alarm, ``None`` without one."""


def traffic(randomness: random.Random, share: float) -> Iterator[bool]:
    """Whether each outcome is the challenger's, until it has had ``CAP`` of them."""
    left = CAP
    while left:
        challenger = randomness.random() < share
        left -= challenger
        yield challenger


def answers(randomness: random.Random, share: float, rate: Rate) -> Iterator[ArmOutcome[bool]]:
    for position, challenger in enumerate(traffic(randomness, share)):
        yield ArmOutcome(challenger, randomness.random() < rate(challenger, position))


def latencies(randomness: random.Random, share: float, times: float) -> Iterator[ArmOutcome[float]]:
    """Log-normal, the challenger's ``times`` as long."""
    for challenger in traffic(randomness, share):
        yield ArmOutcome(challenger, randomness.lognormvariate(0, SPREAD) * (times if challenger else 1))


def matched(outcomes: Iterable[tuple[bool, float]], ratio: float, alpha: float) -> int | None:
    """The simpler rule: the challenger's i-th outcome against the incumbent's i-th, a coin flip where they differ."""
    waiting: tuple[deque[float], deque[float]] = (deque(), deque())
    seen = more = less = 0
    for challenger, value in outcomes:
        waiting[challenger].append(value)
        seen += challenger
        if all(waiting):
            incumbent, own = (queue.popleft() for queue in waiting)
            more, less = more + (own > ratio * incumbent), less + (own < ratio * incumbent)
            if log_e_value(more, less, 0.5) >= -math.log(alpha):
                return seen
    return None


def by_blocks(randomness: random.Random, share: float, rate: Rate) -> Alarm:
    def run(alpha: float) -> int | None:
        found = harm(answers(randomness, share, rate), alpha=alpha)
        return found.n if found.reached else None

    return run


def by_matching(randomness: random.Random, share: float, rate: Rate) -> Alarm:
    return lambda alpha: matched(answers(randomness, share, rate), 1.0, alpha)


def slow_by_blocks(randomness: random.Random, share: float, times: float) -> Alarm:
    def run(alpha: float) -> int | None:
        found = excess(latencies(randomness, share, times), ratio=RATIO, alpha=alpha)
        return found.n if found.reached else None

    return run


def slow_by_matching(randomness: random.Random, share: float, times: float) -> Alarm:
    return lambda alpha: matched(latencies(randomness, share, times), RATIO, alpha)


def delays(alarm: Alarm, runs: int) -> list[str]:
    """A cell for each alpha: median and 95% quantile."""
    cells = []
    for alpha in ALPHAS:
        found = [alarm(alpha) for _ in range(runs)]
        cells.append(" / ".join(quantile(found, share) for share in (0.5, 0.95)))
    return cells


def quantile(found: Sequence[int | None], share: float) -> str:
    value = sorted(math.inf if n is None else n for n in found)[math.ceil(share * len(found)) - 1]
    return f"> {CAP}" if value == math.inf else str(value)


def rung(alarm: Alarm, runs: int) -> list[str]:
    """A cell for each alpha: the share of runs with an alarm."""
    return [f"{statistics.mean(alarm(alpha) is not None for _ in range(runs)):.1%}" for alpha in ALPHAS]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def each_alpha(what: str) -> list[str]:
    return [f"{what}, alpha {alpha:.0%}" for alpha in ALPHAS]


def harm_table(runs: int, seed: int) -> str:
    """Delay of the alarm for harm, by blocks and by matching."""
    rows = []
    for base, points, share in itertools.product((0.05, 0.3), (20, 5), SHARES):

        def rate(challenger: bool, _: int, base: float = base, points: int = points) -> float:
            return base + points / 100 * challenger

        # a run of the small effect is ten times as long
        few = runs if points == 20 else max(1, runs // 5)
        alarms = [make(random.Random(seed), share, rate) for make in (by_blocks, by_matching)]
        cells = [cell for alarm in alarms for cell in delays(alarm, few)]
        rows.append([f"{base:.0%}", f"{points} points", f"{share:.0%}", *cells])
    return table(["wrong before", "harm", "share", *each_alpha("blocks"), *each_alpha("1:1")], rows)


def null_table(runs: int, seed: int) -> str:
    """Alarms for nothing: equal arms, in calm and where everything gets harder for both after 1,000 outcomes."""
    calm: Rate = lambda _, __: 0.05  # noqa: E731
    harder: Rate = lambda _, position: 0.05 if position < 1000 else 0.25  # noqa: E731
    rows = []
    for (name, rate), share in itertools.product((("5% wrong", calm), ("5%, then 25% wrong", harder)), (0.05, 0.25)):
        alarms = [make(random.Random(seed), share, rate) for make in (by_blocks, by_matching)]
        rows.append([name, f"{share:.0%}", *[cell for alarm in alarms for cell in rung(alarm, max(1, runs // 5))]])
    return table(["both arms", "share", *each_alpha("blocks"), *each_alpha("1:1")], rows)


def excess_table(runs: int, seed: int) -> str:
    """Delay of the alarm for latency."""
    rows = []
    for times, share in itertools.product((3.0, 2.0), (0.05, 0.25, 0.5)):
        alarms = [make(random.Random(seed), share, times) for make in (slow_by_blocks, slow_by_matching)]
        rows.append([f"{times} times", f"{share:.0%}", *[cell for alarm in alarms for cell in delays(alarm, runs)]])
    for share in (0.05, 0.25):
        null = [make(random.Random(seed), share, RATIO) for make in (slow_by_blocks, slow_by_matching)]
        cells = [f"{cell} of runs" for alarm in null for cell in rung(alarm, max(1, runs // 5))]
        rows.append([f"{RATIO} times (allowed)", f"{share:.0%}", *cells])
    return table(["takes", "share", *each_alpha("blocks"), *each_alpha("1:1")], rows)


def drift_table(runs: int, seed: int) -> str:
    """Delay of the drift detector after 200 outcomes at 5% wrong, and its run length without drift."""
    rows = []
    for baseline, alpha in itertools.product((0.05, 0.08), (1e-3, 1e-4)):
        randomness = random.Random(seed)
        fresh = DriftDetector(baseline=baseline, alpha=alpha)
        cells = []
        for after in (0.25, 0.1):
            found = [until_alarm(randomness, settled(randomness, fresh), after, CAP) for _ in range(runs)]
            cells.append(" / ".join(quantile(found, share) for share in (0.5, 0.95)))
        patience = round(10 / alpha)
        few = max(1, runs // 20)
        calm = [until_alarm(randomness, fresh, 0.05, patience) or patience for _ in range(few)]
        mean = f"{statistics.mean(calm):,.0f}"
        more = "at least " if patience in calm else ""
        rows.append([f"{baseline:.0%}", f"{alpha:g}", *cells, more + mean])
    head = ["baseline", "alpha", "5% become 25% wrong", "5% become 10% wrong", "mean outcomes to a false alarm"]
    return table(head, rows)


def settled(randomness: random.Random, fresh: DriftDetector) -> DriftDetector:
    """A detector that has watched 200 outcomes without drift and given no alarm."""
    while True:
        drift = fresh
        for _ in range(200):
            drift = drift.after(randomness.random() < 0.05)
        if not drift.noticed:
            return drift


def until_alarm(randomness: random.Random, drift: DriftDetector, chance: float, patience: int) -> int | None:
    for waited in range(patience):
        if drift.noticed:
            return waited
        drift = drift.after(randomness.random() < chance)
    return None


@click.command()
@click.option("--runs", default=1000, show_default=True, help="Runs a cell; small effects and nulls get a fifth.")
@click.option("--seed", default=1, show_default=True)
def main(runs: int, seed: int) -> None:
    """Simulate and print."""
    for title, made in (
        ("Harm: the challenger's answers until the alarm, median / 95% quantile", harm_table),
        (f"Harm: alarms for nothing within {CAP} answers of the challenger", null_table),
        (f"Latency: {RATIO} times is allowed", excess_table),
        ("Drift: outcomes from the change to the alarm, median / 95% quantile", drift_table),
    ):
        click.echo(f"### {title}\n\n{made(runs, seed)}\n")


if __name__ == "__main__":
    main()
