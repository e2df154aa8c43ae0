"""How soon harm is off the air at ordinary traffic, and how often harmless rules are taken off: seeded simulation.

    python -m tests.bench.live.harm --runs 100 --regime compared

A task gets 1,000 requests a day, by day and by night, in conversations of two turns on average whose fates hang
together; a tenth of the incumbent's replies is wrong. A rule set goes on trial that breaks so many points of the right
replies, or none, and stays for ``--days``. Regimes: ``compared``: the strong model looks at a tenth of the replies;
``independent``: the same, but both versions err on different requests; ``people``: people label 5% of them, a day later
on average; ``queue``: once a day a person labels as many from the label queue, which puts requests first that the two
versions answer differently; ``complaints``: clients report half of what is wrong; ``signs``: a wrong reply shows a sign
of it.

``--rules before`` plays the same towns under the rules of commit 327abc6. Prints a row of Markdown for each harm.
"""

import math
import multiprocessing
import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import click

from gateway.domain import Activation
from gateway.store.history import active_decisions
from optimizer.monitoring.rollout.promises import BY_SIGNS
from optimizer.monitoring.rollout.status import Benefit, benefit_of
from optimizer.statistics.e_process import ArmOutcome, harm
from tests.rollouts import START, Chance, Town, entry, section

DAY_S: Final = 86_400.0
LOOK_S: Final = 3600.0
WRONG: Final = 0.1
REGIMES: Final[dict[str, dict[str, Any]]] = {
    "compared": {"known": "shadow", "share": 0.1, "pairs": True, "alike": 0.9},
    "independent": {"known": "shadow", "share": 0.1, "pairs": True, "alike": 0.0},
    "people": {"known": "label", "share": 0.05, "pairs": True, "alike": 0.9, "delay_s": DAY_S},
    "queue": {"known": "queue", "share": 0.05, "pairs": True, "alike": 0.9},
    "complaints": {"known": "client", "share": 0.5, "pairs": True, "alike": 0.9, "delay_s": DAY_S / 4},
    "signs": {"known": "signs"},
}


def worse(points: float) -> Chance:
    """Rules that break so many points of the replies."""
    return lambda arm, rules, at: WRONG + (points / 100 if rules == 1 else 0.0)


def by_day(at: float) -> float:
    """Times the traffic: a quarter by night, 1.75 times by day."""
    return 1 + 0.75 * math.sin(2 * math.pi * (at - START) / DAY_S)


class Before(Town):
    """The same town under the rules of commit 327abc6: every request counts, complaints as labels, streams are wiped
    with 5,000 outcomes and begin again with 1/k(k+1) of alpha, steps last 20 exchanges, 2% are held back."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._streams: dict[str, list[ArmOutcome[bool]]] = {"outcomes": [], "labels": []}
        self._stretch, self._counted, self._step = 1, 0, 0

    def look(self) -> None:
        arrived = [label for at, label, _ in self._new if at <= self.now]
        self._new = [known for known in self._new if known[0] > self.now]
        now = active_decisions(self.history)
        arms = ("canary", "weak") if now.canary is not None else ("weak", "holdback")
        fresh = [row for row in self.rows if row.created > self.now - LOOK_S]
        for row in fresh:
            if row.arm in arms:
                self._streams["outcomes"].append(ArmOutcome(row.arm == arms[0], row.signals != ""))
                self._step += row.arm == arms[0]
        for label in arrived:
            if label.exchange.arm in arms:
                wrong = label.exchange.correct is False
                challenger = label.exchange.arm == arms[0]
                self._streams["labels"].append(ArmOutcome(challenger, wrong))
                if wrong:
                    self._streams["outcomes"].append(ArmOutcome(challenger, True))
        alpha = self.task.rollout.alpha / 11 / (self._stretch * (self._stretch + 1))
        found = [harm(stream, alpha=alpha) for stream in self._streams.values()]
        if any(evidence.reached for evidence in found):
            off = {"kind": "canary", "version": 1} if now.canary is not None else {"kind": "live", "version": None}
            self._decide(share=0.0 if now.canary is not None else 1.0, **off)
        elif now.canary is not None and self._step >= 20 and not any(evidence.e_value >= 4 for evidence in found):
            larger = 0.25 if now.canary.share < 0.25 else 1.0
            self._decide(kind="canary" if larger < 1 else "live", version=1, share=larger)
        if any(len(stream) >= 5000 for stream in self._streams.values()):
            self._wipe(self._stretch + 1)

    def _decide(self, *, kind: str, version: int | None, share: float) -> None:
        self.history.append(entry(kind, version, self.now, share=share, by="watch"))
        self._step = 0
        if kind == "live":
            self._wipe(1)

    def _wipe(self, stretch: int) -> None:
        self._streams, self._stretch = {"outcomes": [], "labels": []}, stretch


def is_off(history: Sequence[Activation]) -> bool:
    """Whether nobody gets the rules any more."""
    now = active_decisions(history)
    return now.canary is None and (now.live is None or now.live.version is None)


def quantile(numbers: Sequence[float | None], share: float) -> str:
    value = sorted(math.inf if n is None else n for n in numbers)[math.ceil(share * len(numbers)) - 1]
    return "never" if value == math.inf else f"{value:.1f}"


class Played(NamedTuple):
    """What came of one rule set."""

    days: float | None
    """Until nobody got the rules any more."""
    live: bool
    benefit: Benefit | None
    """What the hold-back or the trial said of right replies at the end."""
    harmed: int
    """Replies that only the rules made bad."""


def played(regime: str, points: float, days: float, rules: str, look_s: float, seed: int) -> Played:
    """One rule set in one town."""
    kind = Before if rules == "before" else Town
    new = round(1.75 * 1000 * look_s / DAY_S) + 5  # most rows of a look
    kept = max(300, new) if regime == "complaints" else new
    town = kind(
        section(harm=0.05, holdback_first=0.1, holdback=0.02), [entry("canary", 1, share=0.05)], worse(points),
        seed=seed, per_second=1000 / DAY_S, look_s=look_s, keep=kept, turns=2, apart=0.6, pace=by_day,
        **REGIMES[regime],
    )  # fmt: skip
    ended = town.until(lambda: is_off(town.history), at_most_s=days * DAY_S)
    held = [known for known in town.state.comparisons if known.pairing.subject in ("holdback", "trial")]
    benefit = benefit_of(held[-1]) if held else None
    return Played(
        days=(town.now - START) / DAY_S if ended else None,
        live=any(decision.kind == "live" and decision.version == 1 for decision in town.history),
        benefit=benefit if benefit is not None and (regime == "signs" or benefit.of != BY_SIGNS) else None,
        harmed=town.harmed,
    )


def row(made: Sequence[Played], regime: str, points: float, days: float, rules: str) -> str:
    """The towns of one cell as a row of the table."""
    runs, off = len(made), [run.days for run in made]
    shares = [sum(known is not None and known <= limit for known in off) / runs for limit in (2, 7, days)]
    benefits = [run.benefit for run in made if run.benefit is not None]
    effect = f"{100 * statistics.median(known.change for known in benefits):+.1f}" if benefits else "-"
    covered = [known.interval[0] <= -points / 100 <= known.interval[1] for known in benefits]
    cells = [
        regime, rules, f"{points:g}", *(f"{100 * share:.1f}%" for share in shares),
        f"{quantile(off, 0.5)} / {quantile(off, 0.9)}", f"{sum(run.live for run in made) / runs:.0%}",
        f"{statistics.median(run.harmed for run in made):g}", effect,
        f"{sum(covered) / len(covered):.0%}" if covered else "-", str(runs),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


HEAD = [
    "regime", "rules", "harm, points", "off in 2 days", "in 7", "in all", "days, median / 90%", "went live",
    "replies harmed, median", "measured, median", "covered", "runs",
]  # fmt: skip


@click.command()
@click.option("--runs", default=100, show_default=True)
@click.option("--regime", "regimes", multiple=True, type=click.Choice(list(REGIMES)), default=list(REGIMES))
@click.option("--harm", "harms", multiple=True, type=float, default=[20.0, 10.0, 5.0, 2.0, 0.0], show_default=True)
@click.option("--days", default=90.0, show_default=True)
@click.option("--rules", type=click.Choice(["now", "before"]), default="now", show_default=True)
@click.option("--look", "look_s", default=LOOK_S, show_default=True, help="Seconds between two looks.")
@click.option("--processes", default=2, show_default=True)
def main(
    runs: int, regimes: Sequence[str], harms: Sequence[float], days: float, rules: str, look_s: float, processes: int
) -> None:
    """Simulate and print."""
    click.echo(f"| {' | '.join(HEAD)} |\n" + "|---" * len(HEAD) + "|")
    with multiprocessing.Pool(processes) as pool:
        for regime in regimes:
            for points in harms:
                made = pool.map(partial(played, regime, points, days, rules, look_s), range(runs), chunksize=1)
                click.echo(row(made, regime, points, days, rules))


if __name__ == "__main__":
    main()
