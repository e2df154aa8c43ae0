"""What bad rules cost callers until the watch takes them off: seeded simulation; no model needed.

    python -m tests.bench.live.rollouts --runs 60

A run is a task with 4 exchanges a second, looked at every five seconds, with the default settings (alpha 1%, hold-back
2%, steps of 5, 25 and 100%). Prints a table in Markdown; ``docs/rollout.md`` says what stands in it.
"""

import math
import statistics
from collections.abc import Sequence

import click

from gateway.store.history import active_decisions
from tests.rollouts import Chance, Town, entry, section


def quantile(numbers: Sequence[float], share: float) -> float:
    return sorted(numbers)[math.ceil(share * len(numbers)) - 1]


def worse(base: float, harm: float) -> Chance:
    return lambda arm, rules, at: base + (harm if rules == 1 else 0.0)


def gone(town: Town) -> bool:
    """Whether nobody gets the rules any more."""
    now = active_decisions(town.history)
    return now.canary is None and (now.live is None or now.live.version is None)


def run(by_hand: bool, base: float, harm: float, seed: int) -> tuple[bool, int, float, bool]:
    """Whether it was taken off within two hours, requests harmed, seconds, whether it went live meanwhile."""
    town = Town(section(), [], worse(base, harm), seed=seed)
    town.traffic(400)
    began = town.now
    town.history.append(entry("live", 1, began) if by_hand else entry("canary", 1, began, share=0.05))
    ended = town.until(lambda: gone(town), at_most_s=7200)
    live = any(one.kind == "live" and one.version == 1 and one.by == "watch" for one in town.history)
    return ended, town.harmed, town.now - began, live


@click.command()
@click.option("--runs", default=100, show_default=True)
@click.option("--harm", "harms", multiple=True, type=float, default=[0.2], show_default=True)
def main(runs: int, harms: Sequence[float]) -> None:
    click.echo("| begun | bad before | harm | taken off | went live | harmed, median / 95% | minutes, median / 95% |")
    click.echo("|---|---|---|---|---|---|---|")
    for by_hand in (False, True):
        for harm in harms:
            for base in (0.05, 0.2):
                found = [run(by_hand, base, harm, seed) for seed in range(runs)]
                harmed, minutes = [one[1] for one in found], [one[2] / 60 for one in found]
                click.echo(
                    f"| {'by hand, 100%' if by_hand else 'on trial, 5%'} | {base:.0%} | {100 * harm:.0f} points"
                    f" | {sum(one[0] for one in found)} of {runs} | {sum(one[3] for one in found)}"
                    f" | {statistics.median(harmed):.0f} / {quantile(harmed, 0.95):.0f}"
                    f" | {statistics.median(minutes):.1f} / {quantile(minutes, 0.95):.1f} |",
                )


if __name__ == "__main__":
    main()
