"""The score of a candidate on the selection items, and a comparison of all candidates.

Decides nothing: the race ranks, the gate decides.
"""

from collections.abc import Sequence
from typing import Literal

from gateway.domain import Measured, RuleSet, Scratchpad, Value
from optimizer.evaluation.evaluator import Trial, measured
from optimizer.statistics.paired_test import Pairs


class CandidateScore(Value, frozen=True):
    """A candidate with its results on selection items."""

    rule_set: RuleSet
    trials: tuple[Trial, ...]

    @property
    def measured(self) -> Measured:
        return measured(self.trials)

    @property
    def mean(self) -> float:
        """Mean score (0..1), the share of right replies where a grader knows no more. Rounded: ties are ties."""
        return round(sum(trial.score for trial in self.trials) / max(1, len(self.trials)), 9)

    @property
    def tokens(self) -> float:
        """Prompt and output tokens per reply."""
        return mean_tokens(self.trials)

    @property
    def rank(self) -> tuple[float, float, int]:
        """Smaller is better: mean score, then fewer output tokens, then fewer rules."""
        return (-self.mean, self.measured.output_tokens, len(self.rule_set.rules))


class TriedCandidate(Value, frozen=True):
    """A tried candidate: quality against tokens, on selection items. No forecast of live quality."""

    role: Literal["incumbent", "chosen", "other"]
    scratchpad: Scratchpad
    rules: tuple[str, ...]
    """Ids of its rules."""
    measured: Measured
    tokens: float
    """Prompt and output tokens per reply."""
    frontier: bool
    """True if no other candidate on all items was as good for fewer tokens, or better for as many."""


def compare_candidates(
    incumbent: CandidateScore, chosen: CandidateScore, others: Sequence[CandidateScore]
) -> tuple[TriedCandidate, ...]:
    """Return all tried candidates, the fewest tokens first.

    A candidate out of the race early ran on fewer items: it cannot be compared and is never on the frontier.
    """
    every = [incumbent, *([chosen] if chosen.rule_set.hash != incumbent.rule_set.hash else []), *others]
    whole = [score for score in every if len(score.trials) == len(incumbent.trials)]

    def line(score: CandidateScore) -> TriedCandidate:
        return TriedCandidate(
            role="incumbent" if score is incumbent else "chosen" if score is chosen else "other",
            scratchpad=score.rule_set.scratchpad,
            rules=tuple(rule.id for rule in score.rule_set.rules),
            measured=score.measured,
            tokens=score.tokens,
            frontier=score in whole and not any(_dominates(other, score) for other in whole),
        )

    return tuple(sorted(map(line, every), key=lambda tried: (tried.tokens, -(tried.measured.score or 0.0))))


def _dominates(first: CandidateScore, second: CandidateScore) -> bool:
    better, worse = ((score.measured.score or 0.0, -score.tokens) for score in (first, second))
    return better != worse and better[0] >= worse[0] and better[1] >= worse[1]


def mean_tokens(trials: Sequence[Trial]) -> float:
    """Return prompt and output tokens per reply; 0 without replies."""
    return sum(_used(trial) for trial in trials) / max(1, len(trials))


def _used(trial: Trial) -> int:
    return trial.answer.usage.prompt_tokens + trial.answer.usage.output_tokens


def paired_outcomes(before: Sequence[Trial], after: Sequence[Trial]) -> Pairs:
    """Count the outcomes of two arms, item by item."""
    outcomes = [(old.correct, new.correct) for old, new in zip(before, after, strict=True)]
    return Pairs(
        both=outcomes.count((True, True)),
        fixed=outcomes.count((False, True)),
        broken=outcomes.count((True, False)),
        neither=outcomes.count((False, False)),
    )


def paired_scores(before: Sequence[Trial], after: Sequence[Trial]) -> list[tuple[float, float]]:
    """Return the scores (0..1) of two arms, item by item."""
    return [(old.score, new.score) for old, new in zip(before, after, strict=True)]
