"""Standings side by side: quality against tokens, and who is beaten in both."""

from gateway.domain import Rule, RuleSet, Usage
from optimizer.evaluation.candidate_score import CandidateScore, compare_candidates, mean_tokens
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
