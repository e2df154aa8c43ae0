"""The generator of house policies and the score of induced rules, which the benchmark's claims rest on."""

from collections import Counter
from itertools import islice
from typing import Any

import pytest

from gateway.teaching import DecisionRule, Worksheet
from tests.bench.distillation.house_policy import (
    DESKS,
    VALUES,
    Atom,
    PolicyRule,
    changed_policy,
    decided_by,
    draw_policy,
    tickets,
    true_rules,
)
from tests.bench.distillation.live.tasks import Sizes, questions
from tests.bench.distillation.policy_score import score_list, score_texts

pytestmark = pytest.mark.drill

SEED = 20261129


def condition(atom: Atom) -> str:
    """An atom in CEL."""
    if atom.values:
        return f"{atom.field} in {list(atom.values)}"
    return f"{atom.field} > {atom.above}" if atom.above is not None else f"{atom.field} < {atom.below}"


def sheet(policy: tuple[PolicyRule, ...]) -> Worksheet:
    """A worksheet with the policy as its decision list."""
    properties: dict[str, Any] = {
        **{str(field): {"type": "string", "enum": [*values, "none"]} for field, values in VALUES.items()},
        "days": {"type": "integer", "description": "days since delivery"},
        "paid": {"type": "number", "description": "price in euros"},
    }
    lines = []
    for rule in policy:
        parts = [condition(atom) for atom in rule.conditions]
        parts += [f"!({condition(rule.unless)})"] if rule.unless is not None else []
        lines.append(DecisionRule(when=" && ".join(parts).replace("price", "paid"), result=rule.desk))
    return Worksheet(schema={"type": "object", "properties": properties}, decisions=tuple(lines))


@pytest.mark.parametrize("count", [6, 10])
def test_every_rule_of_a_policy_decides_tickets_and_the_same_seed_draws_the_same(count: int) -> None:
    policy = draw_policy(count, SEED)
    drawn = list(islice(tickets(policy, 1), 500))
    assert len(policy) == count + 1
    assert {decided_by(policy, ticket.facts) for ticket in drawn} == set(range(count + 1))
    assert {ticket.desk for ticket in drawn} <= set(DESKS)
    assert draw_policy(count, SEED) == policy
    assert list(islice(tickets(policy, 1), 500)) == drawn
    assert draw_policy(count, SEED + 1) != policy


def test_a_ticket_states_all_its_facts_and_not_its_desk() -> None:
    for ticket in islice(tickets(draw_policy(6, SEED), 2), 200):
        facts = ticket.facts
        stated = [facts.item, facts.town, facts.customer, f"{facts.days} days", f"{facts.price} euros"]
        assert all(fact in ticket.message for fact in stated)
        assert not any(desk in ticket.message.split() for desk in DESKS)


def test_a_change_moves_two_rules_and_many_tickets() -> None:
    policy = draw_policy(6, SEED)
    after = changed_policy(policy, SEED)
    assert sum(old != new for old, new in zip(policy, after, strict=True)) == 2
    moved = [policy[decided_by(policy, one.facts)].desk != after[decided_by(after, one.facts)].desk
             for one in islice(tickets(policy, 3), 500)]  # fmt: skip
    assert 0.02 < sum(moved) / len(moved) < 0.6


@pytest.mark.parametrize("count", [6, 10])
def test_the_true_rules_get_full_marks_and_a_list_without_one_of_them_does_not(count: int) -> None:
    policy = draw_policy(count, SEED)
    words = score_texts(policy, [rule.words for rule in policy])
    assert (words.recalled, words.right) == (count + 1, count + 1)
    assert score_texts(policy, [rule.words for rule in policy[1:]]).recalled == count
    whole, less = score_list(policy, sheet(policy)), score_list(policy, sheet(policy[1:]))
    assert (whole.recalled, whole.right, whole.agreement) == (count + 1, count + 1, 1.0)
    assert less.recalled <= count
    assert less.agreement is not None and less.agreement < 1.0


def test_a_list_that_tests_words_is_run_on_messages() -> None:
    """It asks the weak model for nothing but the days."""
    policy = (
        PolicyRule(desk="elm", conditions=(Atom(field="item", values=("lamp", "radio")), Atom(field="days", above=30))),
        PolicyRule(desk="birch"),
    )
    words = 'text.lowerAscii().contains("lamp") || text.lowerAscii().contains("radio")'
    lines = (DecisionRule(when=f"({words}) && days > 30", result="elm"), DecisionRule(when="", result="birch"))
    about = "Days since delivery, never the price."
    days = {"type": "object", "properties": {"days": {"type": "integer", "description": about}}}
    score = score_list(policy, Worksheet(schema=days, decisions=lines))
    assert (score.recalled, score.right, score.agreement) == (2, 2, 1.0)


def test_a_rule_that_is_split_by_its_values_counts_and_half_of_it_does_not() -> None:
    policy = (
        PolicyRule(desk="elm", conditions=(Atom(field="item", values=("lamp", "radio")), Atom(field="days", above=30))),
        PolicyRule(desk="birch"),
    )
    lamps, radios = "Lamps after 28 days: elm.", "If a radio was delivered more than 30 days ago, answer elm."
    assert score_texts(policy, [lamps, radios, "Otherwise answer birch."]).recalled == 2
    half = score_texts(policy, [lamps, "Radios after 60 days: elm."])
    assert (half.recalled, half.right, half.induced) == (0, 1, 2)


def test_advice_on_how_to_work_recalls_nothing() -> None:
    advice = ["Read the message carefully.", "Write down the item, the town and the price before you answer."]
    score = score_texts(draw_policy(6, SEED), advice)
    assert (score.recalled, score.right) == (0, 0)


def test_the_prompt_of_the_true_rules_names_every_line() -> None:
    policy = draw_policy(10, SEED)
    assert true_rules(policy).count("\n") == 10


def test_desks_drawn_by_lot_follow_nothing() -> None:
    """The same tickets; their desks agree with the policy as often as chance does, and none of them is likelier."""
    sizes = Sizes(seed=SEED, train=1800, test=60)
    policy, lot = questions("triage-6", sizes), questions("triage-by-lot", sizes)
    both = list(zip((*policy.test, *policy.train), (*lot.test, *lot.train), strict=True))
    assert all(one.question == other.question for one, other in both) and not lot.truth
    assert sum(one.expected == other.expected for one, other in both) / len(both) == pytest.approx(1 / 6, abs=0.03)
    shares = Counter(other.expected for _, other in both)
    assert all(shares[desk] / len(both) == pytest.approx(1 / 6, abs=0.03) for desk in DESKS)
