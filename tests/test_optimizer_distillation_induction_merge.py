"""Merging: what several groups say counts as one rule, opposites are never taken for agreement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Rule
from optimizer.distillation.induction.merge import Merged, alike, compatible, likeness, merged, opposite

A, B, C = (Rule(text=text) for text in ("Add the numbers first.", "Check each unit twice.", "Write only digits."))
AGAIN, LOUD = Rule(text="check each unit, twice"), Rule(text="WRITE ONLY DIGITS")
RULES = st.lists(st.builds(Rule, text=st.text("not never before after add it", max_size=30)), max_size=5)


def test_what_several_groups_say_comes_first_and_near_duplicates_become_one_rule() -> None:
    """Then it takes turns, so that the rules are different ones; the other wordings are remembered."""
    found = merged([[A, B], [C, AGAIN], [LOUD]])
    assert found.rules == (
        Merged(rule=C, groups=(1, 2), same=(LOUD,)),
        Merged(rule=B, groups=(0, 1), same=(AGAIN,)),
        Merged(rule=A, groups=(0,)),
    )


def test_a_group_that_repeats_itself_supports_a_rule_once() -> None:
    """A strong model that loops is no crowd."""
    assert merged([[B, AGAIN, B, AGAIN]]).rules == (Merged(rule=B, groups=(0,), same=(AGAIN,)),)


def test_what_the_incumbent_says_already_is_told_apart() -> None:
    """It is not new, and it is not lost."""
    found = merged([[A, B], [B]], existing=[AGAIN])
    assert [one.rule for one in found.rules] == [A] and found.known == (B,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Always write the working.", "Never write the working."),
        ("Write the working before the answer.", "Write the working after the answer."),
        ("Round the result up.", "Do not round the result up."),
        ("Write down the answer last.", "Write down the answer first."),
        ("Round the result up.", "Round the result down."),
        ("Include the unit in the reply.", "Don\u2019t include the unit in the reply."),
        ("Reply with more detail than asked.", "Reply with less detail than asked."),
    ],
)
def test_opposites_are_not_taken_for_the_same_rule(one: str, other: str) -> None:
    """They share most of their words; counted as support of each other, the louder half of a quarrel would win."""
    pair = (Rule(text=one), Rule(text=other))
    assert opposite(*pair) and opposite(*pair[::-1]) and not alike(*pair)
    assert len(merged([[pair[0]], [pair[1]]]).rules) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Do not skip a step.", "Never skip a step."),
        ("Write the working before the answer.", "Always write the working before the answer."),
        ("Do not guess.", "Write the unit behind the number."),
        ("Add before you double.", "Then double before you add."),
        ("Write down the question first.", "Write down the answer last."),
    ],
)
def test_what_is_said_twice_or_of_other_things_is_no_opposite(one: str, other: str) -> None:
    """Two negations agree; an order of words alone is beyond a comparison of words, and left to the race."""
    assert not opposite(Rule(text=one), Rule(text=other))


def test_opposites_do_not_stand_in_one_candidate() -> None:
    """The better supported one stays, and what says something else stays with it."""
    never = Rule(text="Never check each unit twice.")
    assert compatible([B, A, never, C]) == (B, A, C)
    assert compatible([never, A, B]) == (never, A)


@given(RULES, RULES)
def test_nothing_is_lost_in_a_merger(one: list[Rule], other: list[Rule]) -> None:
    """Every wording is a rule, went up in one, or was known; no two compatible rules are opposites."""
    found = merged([one, other], existing=other[:1])
    texts = {rule.text for single in found.rules for rule in (single.rule, *single.same)}
    assert texts | {rule.text for rule in found.known} == {rule.text for rule in (*one, *other)}
    kept = compatible([single.rule for single in found.rules])
    assert not any(opposite(left, right) for left in kept for right in kept)


@pytest.mark.parametrize(
    ("rule", "other"),
    [
        ("If the message is about a refund, answer refund.", "If the message is about a delivery, answer delivery."),
        ("Reply yes if the parcel is late.", "Reply no if the parcel is early."),
        ("Double the second number before you add it.", "Halve the second number before you add it."),
    ],
)
def test_conventions_about_different_cases_are_different_rules(rule: str, other: str) -> None:
    """Most of their words are the same, and both are needed: words alone neither merge nor exclude them."""
    pair = (Rule(text=rule), Rule(text=other))
    assert not alike(*pair) and not opposite(*pair) and compatible(pair) == pair
    assert [entry.rule for entry in merged([[pair[0]], [pair[1]]]).rules] == list(pair)


def test_likeness_is_the_share_of_common_words() -> None:
    """Case and fillers count for nothing, and a rule without words is like none."""
    assert likeness(A, Rule(text="ADD numbers first")) == 1.0 > likeness(A, Rule(text="Add the units first.")) == 0.5
    assert likeness(A, C) == likeness(Rule(text=""), Rule(text="")) == 0.0
