"""The guardrails of a comparison: the quantities that must not become worse, each with its part of alpha. Pure.

A version may be taken off the air wrongly with probability alpha in its whole life. The parts are spent where harm is
found soonest: on pairs of answers and on signs of failure, while the version is on trial.
"""

from collections.abc import Mapping
from typing import Literal

from gateway.domain import Value
from optimizer.monitoring.rollout.arms import Subject
from optimizer.monitoring.rollout.comparison import Comparison
from optimizer.monitoring.rollout.evidence import Stream
from optimizer.statistics.medians import MedianTest

Name = Literal["bad replies", "labelled mistakes", "paired answers", "complaints", "latency", "output tokens"]

PARTS: Mapping[Subject, Mapping[Name, float]] = {
    "trial": {"paired answers": 0.3, "bad replies": 0.1, "complaints": 0.05, "labelled mistakes": 0.04,
              "latency": 0.02, "output tokens": 0.02},
    "holdback": {"paired answers": 0.18, "bad replies": 0.05, "complaints": 0.05, "labelled mistakes": 0.02,
                 "latency": 0.01, "output tokens": 0.01},
    "past": {"bad replies": 0.08, "complaints": 0.05, "output tokens": 0.02},
    "strong": {"bad replies": 0.4, "labelled mistakes": 0.3, "latency": 0.15, "output tokens": 0.15},
}  # fmt: skip
"""Parts of alpha. A version is on trial, then against the hold-back and the past: together they have all of it. The
weak model has all of it against the strong one."""
DOUBT = 4.0
"""E-value that stops a share from growing: a quarter of harmless arms ever get there, and come back."""


class Guardrail(Value, frozen=True):
    """A quantity that must not become worse, and the evidence that it did."""

    name: Name
    e_value: float
    limit: float
    """The e-value that ends the challenger."""
    why: str
    """The numbers in words."""
    doubtful: bool = False
    """Something leans towards harm now: no share grows."""
    refused: str = ""
    """The reason for which the evidence decides nothing; empty if it does."""

    @property
    def reached(self) -> bool:
        """True if the challenger does harm."""
        return not self.refused and self.e_value >= self.limit


def guardrails_of(comparison: Comparison, alpha: float) -> list[Guardrail]:
    """Return the guardrails of a comparison; ``alpha`` is for the whole life of a version."""
    c, i = comparison.challenger, comparison.incumbent
    limits = {name: 1 / (alpha * part) for name, part in PARTS[comparison.pairing.subject].items()}
    signs, labels = rates(c.bad, c.seen, i.bad, i.seen), rates(c.wrong, c.labelled, i.wrong, i.labelled)
    rails = [_of("bad replies", comparison.bad, limits, signs)]
    if "labelled mistakes" in limits:
        rails.append(_of("labelled mistakes", comparison.labels, limits, labels))
    if "paired answers" in limits:
        rails += [_of("paired answers", comparison.pairs, limits, _paired(comparison)), _complaints(comparison, limits)]
    elif "complaints" in limits:
        why = f"{c.complaints} complaints among {c.audited} replies"
        rails.append(_of("complaints", comparison.labels, limits, why))
    tests: tuple[tuple[Name, MedianTest | None], ...] = (
        ("latency", comparison.latency), ("output tokens", comparison.tokens),
    )  # fmt: skip
    return [*rails, *(_excess(name, test, limits[name]) for name, test in tests if test is not None)]


def _of(name: Name, stream: Stream, limits: Mapping[Name, float], why: str, refused: str = "") -> Guardrail:
    return Guardrail(
        name=name, e_value=stream.e_value, limit=limits[name], why=why, doubtful=stream.now >= DOUBT, refused=refused
    )


def _paired(comparison: Comparison) -> str:
    pairs = comparison.paired
    return f"of {pairs.n} requests answered anew, {pairs.against} were wrong with it alone, {pairs.for_} without alone"


def _complaints(comparison: Comparison, limits: Mapping[Name, float]) -> Guardrail:
    """Return the guardrail of the complaints, by the stronger evidence: with answers to compare, or without."""
    complaints, halved = comparison.complaints, {name: 2 * limit for name, limit in limits.items()}
    why = f"{comparison.challenger.complaints} complaints against {comparison.incumbent.complaints}"
    biased = "labels depend on the arm: without a difference they are on one arm" if complaints.biased else ""
    one_sided = "labels came for the replies of one arm only" if complaints.one_sided else ""
    paired = _of("complaints", complaints.paired, halved, why, biased)
    unpaired = _of("complaints", complaints.unpaired, halved, why, biased or one_sided)
    return max(paired, unpaired, key=lambda rail: (rail.reached, rail.e_value))


def _excess(name: Name, test: MedianTest, limit: float) -> Guardrail:
    what = "latency" if name == "latency" else "tokens"
    why = f"above {test.ratio:.3g} times the {what} in {test.exceeded} of {test.blocks} comparisons"
    return Guardrail(name=name, e_value=test.e_value, limit=limit, why=why, doubtful=test.e_value >= DOUBT)


def rates(bad: int, n: int, bad_of_others: int, others: int) -> str:
    """Return ``14 of 52 (27%) against 31 of 890 (3%): about 12 requests harmed``."""
    text = f"{_share(bad, n)} against {_share(bad_of_others, others)}"
    return f"{text}: about {harmed(bad, n, bad_of_others, others):.0f} requests harmed" if n and others else text


def harmed(bad: int, n: int, bad_of_others: int, others: int) -> float:
    """Return the number of bad replies beyond the other arm's rate."""
    return max(bad - n * bad_of_others / others, 0.0) if others else 0.0


def _share(part: int, n: int) -> str:
    return f"{part} of {n} ({part / n:.0%})" if n else "0 of 0"
