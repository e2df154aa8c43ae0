"""How a candidate stands on the selection items, and what everything that was tried looks like side by side.

Decides nothing: the race ranks, the gate decides.
"""

from collections.abc import Sequence
from typing import Literal

from gateway.domain import Measured, RuleSet, Scratchpad, Value
from optimizer.evaluation.evaluator import Trial, measured
from optimizer.statistics.paired_test import Pairs


class CandidateScore(Value, frozen=True):
    """A candidate and how it did on the selection items that it has run on."""

    rule_set: RuleSet
    trials: tuple[Trial, ...]

    @property
    def measured(self) -> Measured:
        return measured(self.trials)

    @property
    def tokens(self) -> float:
        """Prompt and output tokens per reply."""
        return mean_tokens(self.trials)

    @property
    def rank(self) -> tuple[float, float, int]:
        """Smaller is better: accuracy, then fewer output tokens, then fewer rules."""
        means = self.measured
        return (-means.accuracy, means.output_tokens, len(self.rule_set.rules))


class TriedCandidate(Value, frozen=True):
    """One line of what was tried: quality against tokens, on selection items. No promise of what callers will see."""

    role: Literal["incumbent", "chosen", "other"]
    scratchpad: Scratchpad
    rules: tuple[str, ...]
    """Ids of its rules."""
    measured: Measured
    tokens: float
    """Prompt and output tokens per reply."""
    frontier: bool
    """Whether nothing else that ran on all items was as good for fewer tokens, or better for as many."""


def compare_candidates(
    incumbent: CandidateScore, chosen: CandidateScore, others: Sequence[CandidateScore]
) -> tuple[TriedCandidate, ...]:
    """Everything that was tried, the fewest tokens first.

    What dropped out of the race early ran on fewer items, cannot be compared, and is never on the frontier.
    """
    every = [incumbent, *([chosen] if chosen.rule_set.hash != incumbent.rule_set.hash else []), *others]
    whole = [one for one in every if len(one.trials) == len(incumbent.trials)]

    def line(one: CandidateScore) -> TriedCandidate:
        return TriedCandidate(
            role="incumbent" if one is incumbent else "chosen" if one is chosen else "other",
            scratchpad=one.rule_set.scratchpad,
            rules=tuple(rule.id for rule in one.rule_set.rules),
            measured=one.measured,
            tokens=one.tokens,
            frontier=one in whole and not any(_dominates(other, one) for other in whole),
        )

    return tuple(sorted(map(line, every), key=lambda one: (one.tokens, -one.measured.accuracy)))


def _dominates(one: CandidateScore, other: CandidateScore) -> bool:
    quality, known = one.measured.accuracy, other.measured.accuracy
    return quality >= known and one.tokens <= other.tokens and (quality, one.tokens) != (known, other.tokens)


def mean_tokens(trials: Sequence[Trial]) -> float:
    """Prompt and output tokens per reply; 0 of none."""
    return sum(_used(trial) for trial in trials) / max(1, len(trials))


def _used(trial: Trial) -> int:
    return trial.answer.usage.prompt_tokens + trial.answer.usage.output_tokens


def paired_outcomes(before: Sequence[Trial], after: Sequence[Trial]) -> Pairs:
    """Right and wrong of two arms on the same items, in the same order."""
    outcomes = [(one.correct, other.correct) for one, other in zip(before, after, strict=True)]
    return Pairs(
        both=outcomes.count((True, True)),
        fixed=outcomes.count((False, True)),
        broken=outcomes.count((True, False)),
        neither=outcomes.count((False, False)),
    )
