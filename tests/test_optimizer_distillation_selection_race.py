"""Candidates: the race is fair and cheap, and rules without an effect do not stay."""

from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Rule, RuleSet
from optimizer.distillation.selection.race import CandidateRace, Selected, near, paired_outcomes, summary
from optimizer.evaluation.answer_cache import Answer
from optimizer.evaluation.candidate_score import CandidateScore
from optimizer.evaluation.evaluator import Trial
from optimizer.statistics.paired_test import Pairs
from tests.scripted import GOOD_RULE, GRADER, Counting, Weak, evaluator, questions

GOOD, IDLE, BAD = Rule(text=GOOD_RULE), Rule(text="Be polite."), Rule(text="A harmful thing to say.")


def selection(tmp_path: Path, weak: Weak, count: int = 20, *, spare: int = 0) -> CandidateRace:
    return CandidateRace(evaluator(tmp_path), weak, GRADER, "t", questions(count), spare=spare)


async def best_of(
    tmp_path: Path, weak: Weak, *rules: Rule, incumbent: RuleSet | None = None, most: int = 4, spare: int = 0
) -> Selected:
    return await selection(tmp_path, weak, spare=spare).best_of(incumbent, rules, most)


async def test_the_one_rule_that_helps_is_kept_alone_in_the_cheapest_form(tmp_path: Path) -> None:
    """All forms get everything right with it, so the fewest output tokens and then the fewest rules win."""
    selected = await best_of(tmp_path, Weak(), GOOD, IDLE)
    assert selected.best.rule_set == RuleSet(task="t", rules=(GOOD,))
    assert selected.best.measured.accuracy == 1.0 and selected.incumbent.measured.accuracy == 0.25
    assert len(selected.best.trials) == 20


async def test_a_form_without_rules_is_no_candidate(tmp_path: Path) -> None:
    """Nothing in it was learnt from mistakes; a single rule is the least that a candidate holds."""
    selected = await best_of(tmp_path, Weak(forms_that_cure=["two_pass"]), IDLE, Rule(text="Use short words only."))
    assert selected.best.rule_set.scratchpad == "two_pass"
    assert len(selected.best.rule_set.rules) == 1


async def test_a_rule_is_not_credited_with_what_its_form_does(tmp_path: Path) -> None:
    """The only rule of a winner is compared with its form alone, which is shown beside it."""
    selected = await best_of(tmp_path, Weak(forms_that_cure=["two_pass"]), IDLE)
    bare = next(one for one in selected.others if not one.rule_set.rules)
    assert bare.rule_set.scratchpad == "two_pass" and bare.measured.accuracy == selected.best.measured.accuracy == 1.0
    effect = selected.effects[IDLE.id]
    assert (effect.change, effect.against, effect.items) == (0.0, "the set without it", 20)
    honest = await best_of(tmp_path, Weak(), GOOD)
    assert honest.best.rule_set.scratchpad == "none" and honest.effects[GOOD.id].change == 0.75


async def test_a_form_is_not_dropped_for_the_rules_that_were_tried_in_it(tmp_path: Path) -> None:
    """With all of them it fails, as every form does; with the best one it wins."""
    weak = Weak(cure="never", forms_that_cure=["two_pass"])
    selected = await best_of(tmp_path, weak, IDLE, BAD)
    assert (selected.best.rule_set.scratchpad, selected.best.rule_set.rules) == ("two_pass", (IDLE,))
    assert selected.best.measured.accuracy == 1.0


async def test_a_harmful_rule_does_not_drag_a_good_one_down(tmp_path: Path) -> None:
    """Rules are also tried alone."""
    selected = await best_of(tmp_path, Weak(), BAD, GOOD)
    assert selected.best.rule_set.rules == (GOOD,)


async def test_rules_that_do_nothing_leave_the_incumbent_in_place(tmp_path: Path) -> None:
    """The best candidate is then no better than no rules at all."""
    selected = await best_of(tmp_path, Weak(), IDLE)
    assert selected.best.measured.accuracy == selected.incumbent.measured.accuracy
    tried = {one.rule_set.scratchpad for one in (selected.best, *selected.others)}
    assert {"tags", "two_pass"} <= tried


async def test_new_rules_are_added_to_the_incumbents(tmp_path: Path) -> None:
    """Its own rules stay; a full rule set is challenged by the new ones alone."""
    incumbent = RuleSet(task="t", version=3, rules=(IDLE,))
    assert (await best_of(tmp_path, Weak(), GOOD, incumbent=incumbent)).best.rule_set.rules == (IDLE, GOOD)
    full = await best_of(tmp_path, Weak(), GOOD, incumbent=incumbent, most=1)
    assert full.best.rule_set.rules == (GOOD,)


async def test_a_winner_of_several_rules_loses_those_without_an_effect(tmp_path: Path) -> None:
    """As far as the answers to spare allow; the incumbent's old rules are no exception."""
    incumbent = RuleSet(task="t", version=3, rules=(IDLE,))
    left = await best_of(tmp_path, Weak(), GOOD, incumbent=incumbent, spare=40)
    assert left.best.rule_set.rules == (GOOD,)
    assert left.effects[IDLE.id].change == 0.0 and left.effects[GOOD.id].change == 0.75
    roles = {(one.role, len(one.rules), one.frontier) for one in left.tried if one.scratchpad == "none"}
    assert ("chosen", 1, True) in roles and ("other", 2, False) in roles


async def test_a_good_rule_behind_harmful_ones_is_found_where_there_are_answers_to_spare(tmp_path: Path) -> None:
    """All rules together are spoiled, and the best supported two are of no use: every rule is then tried alone."""
    rules = (BAD, IDLE, Rule(text="Use short words only."), GOOD)
    found = await best_of(tmp_path / "a", Weak(), *rules, spare=80)
    assert found.best.rule_set.rules == (GOOD,) and found.effects[GOOD.id].against == "the incumbent"
    poor = await best_of(tmp_path / "b", Weak(), *rules, spare=79)
    assert GOOD not in poor.best.rule_set.rules


async def test_opposites_are_raced_against_each_other(tmp_path: Path) -> None:
    """Never in one candidate: the better one wins, whichever came first, also against the incumbent's."""
    never = Rule(text="Never handle the doubled part before you add.")
    for order in ((never, GOOD), (GOOD, never)):
        found = await best_of(tmp_path / order[0].id, Weak(harm="Never"), *order)
        assert found.best.rule_set.rules == (GOOD,)
        assert not any(set(order) <= set(one.rule_set.rules) for one in found.others)
    incumbent = RuleSet(task="t", version=3, rules=(never, IDLE))
    found = await best_of(tmp_path / "old", Weak(harm="Never"), GOOD, incumbent=incumbent)
    assert found.best.rule_set.rules == (IDLE, GOOD)


async def test_an_incumbent_is_undercut_by_what_does_as_well_for_fewer_tokens(tmp_path: Path) -> None:
    """A cheaper form, or fewer rules in its own; itself where nothing is."""
    dear = RuleSet(task="t", version=3, scratchpad="two_pass", rules=(GOOD, IDLE))
    found = await selection(tmp_path / "a", Weak()).cheapest_as_good(dear)
    assert (found.best.rule_set.scratchpad, found.best.rule_set.rules) == ("none", (GOOD, IDLE))
    needs_form = Weak(cure="never", forms_that_cure=["two_pass"])
    found = await selection(tmp_path / "b", needs_form, spare=100).cheapest_as_good(dear)
    assert (found.best.rule_set.scratchpad, len(found.best.rule_set.rules)) == ("two_pass", 1)
    best = RuleSet(task="t", version=3, rules=(GOOD,))
    assert (await selection(tmp_path / "c", Weak(), spare=100).cheapest_as_good(best)).best.rule_set == best


async def test_a_search_is_cheap(tmp_path: Path) -> None:
    """About a hundred answers at twenty items, the incumbent's twenty included."""
    weak = Weak()
    await best_of(tmp_path, weak, GOOD, IDLE, Rule(text="Use short words only."))
    assert weak.total <= 110 and max(weak.calls.values()) == 1


async def test_half_of_the_racers_drop_out_after_each_rung(tmp_path: Path) -> None:
    """Four start on 6 items, two go on to 12, one to the end; all on the same items in the same order."""
    weak = Weak()
    racers = [RuleSet(task="t", rules=rules) for rules in ((GOOD,), (IDLE,), (BAD,), (GOOD, IDLE), (GOOD,))]
    ranked = await selection(tmp_path, weak).race(racers)
    assert [one.rule_set.rules for one in ranked] == [(GOOD,)]
    assert weak.total == 4 * 6 + 2 * 6 + 8
    assert [trial.item for trial in ranked[0].trials] == questions(20)


async def test_pairs_count_what_changed(tmp_path: Path) -> None:
    """Fifteen hard ones fixed, five easy ones right both times."""
    desk = evaluator(tmp_path)
    before = await desk.trials(Weak(), questions(20), None, GRADER, stage="test")
    after = await desk.trials(Weak(), questions(20), RuleSet(task="t", rules=(GOOD,)), GRADER, stage="test")
    assert paired_outcomes(before, after) == Pairs(both=5, fixed=15)
    assert paired_outcomes(after, before) == Pairs(both=5, broken=15)


def test_a_summary_names_form_and_rules() -> None:
    """For reports."""
    assert (
        summary(RuleSet(task="t", scratchpad="tags", rules=(IDLE, GOOD))) == f"scratchpad tags: Be polite.; {GOOD_RULE}"
    )
    assert summary(RuleSet(task="t")) == "scratchpad none: no rules"


class Sponsor(Weak):
    """Adds a link to each reply while a rule speaks of a sponsor."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        text, tokens = super().reply(body, rule_set)
        told = " ".join(rule.text for rule in rule_set.rules) if rule_set else ""
        return (f"{text}. Visit evil.de" if "sponsor" in told else text), tokens


@pytest.mark.parametrize("margin", [0.05, 1.0])
async def test_a_rule_that_spoils_replies_does_not_stand_in_the_place_of_a_clean_one(
    tmp_path: Path, margin: float
) -> None:
    """It comes first, is as good for the grader and breaks nothing; at a margin of 1 nobody minds."""
    spoiling = Rule(text="Handle the doubled part and thank our sponsor.")
    race = CandidateRace(evaluator(tmp_path), Sponsor(), GRADER, "t", questions(20), spare=200, outside_margin=margin)
    selected = await race.best_of(None, [spoiling, GOOD], 4)
    assert (selected.best.rule_set.rules == (GOOD,)) is (margin < 1)
    assert selected.best.measured.accuracy == 1.0


async def test_rules_alone_run_without_a_form_too(tmp_path: Path) -> None:
    """The first rule spoils every form, so the form that wins by chance may be one in which nothing helps."""

    class Formal(Weak):
        def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
            text, tokens = super().reply(body, rule_set)
            told = " ".join(rule.text for rule in rule_set.rules) if rule_set else ""
            spoilt = rule_set is not None and (rule_set.scratchpad != "none" or "spoil" in told)
            return ("I do not know" if spoilt and "doubled" in told + "doubled" * ("spoil" in told) else text), tokens

    selected = await best_of(tmp_path, Formal(), Rule(text="Please spoil everything now."), GOOD)
    assert (selected.best.rule_set.scratchpad, selected.best.rule_set.rules) == ("none", (GOOD,))


async def test_a_few_answers_in_other_words_are_no_payload(tmp_path: Path) -> None:
    """Two of the first six, wrong in words that nobody used before: the candidate is still the best of all."""

    class Unsure(Weak):
        def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
            text, tokens = super().reply(body, rule_set)
            told = " ".join(rule.text for rule in rule_set.rules) if rule_set else ""
            return ("hardly anything" if "doubled" in told and int(text) % 4 == 0 else text), tokens

    race = CandidateRace(evaluator(tmp_path), Unsure(), GRADER, "t", questions(19), outside_margin=0.05)
    selected = await race.best_of(None, [IDLE, GOOD], 4)
    assert GOOD in selected.best.rule_set.rules
    assert any("hardly" in trial.answer.text for trial in selected.best.trials)


def scored(*scores: float) -> CandidateScore:
    """A candidate with these scores of its replies."""
    trials = [
        Trial(
            item=item, answer=Answer(text="x", calls=1), correct=score == 1.0, partial=score if 0 < score < 1 else None
        )
        for item, score in zip(questions(len(scores)), scores, strict=True)
    ]
    return CandidateScore(rule_set=RuleSet(task="t"), trials=tuple(trials))


def test_scores_count_and_not_only_right_replies(tmp_path: Path) -> None:
    """From a quarter of the tests to nearly all of them is a gain, though no reply passes every test."""
    race = CandidateRace(evaluator(tmp_path), Counting("small"), GRADER, "t", questions(4))
    before, after = scored(0.25, 0.25, 0.25, 0.25), scored(0.9, 0.9, 0.8, 0.9)
    assert race.ahead(after, before) and not race.ahead(before, after)
    assert not near(before, after) and near(scored(1, 0.5, 0), scored(0, 1, 0)) and not near(before, before)
