"""Scores of candidates side by side: quality against tokens, and candidates beaten in both."""

from gateway.domain import Rule, RuleSet, Usage
from optimizer.evaluation.candidate_score import (
    CandidateScore,
    compare_candidates,
    mean_tokens,
    paired_outcomes,
    paired_scores,
)
from optimizer.evaluation.evaluator import Answer, Trial
from tests.scripted import questions


def score(name: str, right: int, tokens: int, *, n: int = 10) -> CandidateScore:
    trials = [
        Trial(item=item, answer=Answer(text="", usage=Usage(prompt_tokens=tokens - 1, output_tokens=1)),
              correct=number < right)
        for number, item in enumerate(questions(n))
    ]  # fmt: skip
    return CandidateScore(rule_set=RuleSet(task="t", rules=(Rule(text=name),)), trials=tuple(trials))


def test_the_frontier_is_what_nothing_beats_in_quality_and_tokens() -> None:
    """The fewest tokens first; what dropped out early ran on fewer items and is not compared."""
    none, best, dear, early = (
        score("none", 2, 20), score("best", 9, 80), score("dear", 8, 90), score("early", 6, 30, n=6),
    )  # fmt: skip
    lines = compare_candidates(none, best, [dear, score("middle", 5, 50), early])
    assert [(line.role, line.tokens, line.frontier) for line in lines] == [
        ("incumbent", 20.0, True), ("other", 30.0, False), ("other", 50.0, True), ("chosen", 80.0, True),
        ("other", 90.0, False),
    ]  # fmt: skip
    assert lines[0].rules == (Rule(text="none").id,) and lines[0].measured.accuracy == 0.2


def test_two_that_are_as_good_for_as_many_tokens_are_both_on_the_frontier() -> None:
    """Neither beats the other."""
    lines = compare_candidates(score("a", 5, 50), score("b", 5, 50), [])
    assert all(line.frontier for line in lines)


def test_an_incumbent_that_stays_the_best_is_one_line() -> None:
    """It is not its own challenger."""
    assert [line.role for line in compare_candidates(score("a", 5, 50), score("a", 5, 50), [])] == ["incumbent"]


def test_no_trials_used_no_tokens() -> None:
    """Nothing divided by nothing is nothing here."""
    assert mean_tokens([]) == 0.0


def partly(name: str, scores: list[float]) -> CandidateScore:
    trials = [
        Trial(item=item, answer=Answer(text=""), correct=value == 1.0, partial=value if 0 < value < 1 else None)
        for item, value in zip(questions(len(scores)), scores, strict=True)
    ]
    return CandidateScore(rule_set=RuleSet(task="t", rules=(Rule(text=name),)), trials=tuple(trials))


def test_a_better_score_ranks_before_an_equal_accuracy() -> None:
    """Where the grader knows more than right and wrong: 0.25 to 0.88 is a gain, though nothing is fully right."""
    poor, good = partly("a", [0.25] * 8), partly("b", [0.88] * 8)
    assert sorted([poor, good], key=lambda score: score.rank) == [good, poor]
    assert poor.measured.accuracy == good.measured.accuracy == 0.0 and good.measured.score == 0.88
    assert [line.frontier for line in compare_candidates(poor, good, [])] == [True, False]


def test_two_arms_are_compared_item_by_item() -> None:
    """By outcome, and by score."""
    before, after = partly("a", [0.0, 0.5, 1.0, 1.0]).trials, partly("b", [1.0, 0.75, 1.0, 0.0]).trials
    pairs = paired_outcomes(before, after)
    assert (pairs.both, pairs.fixed, pairs.broken, pairs.neither) == (1, 1, 1, 1)
    assert paired_scores(before, after) == [(0.0, 1.0), (0.5, 0.75), (1.0, 1.0), (1.0, 0.0)]
