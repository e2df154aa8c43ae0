"""One question for each lens, for a later round and for refused rules; all records in it are data."""

import json
from typing import get_args

from gateway.domain import Rule, RuleRecord
from optimizer.dataset.items import Mistake, item_of
from optimizer.distillation.induction.lens import Lens
from optimizer.distillation.induction.questions import (
    FORM,
    Review,
    Teacher,
    questions,
    repair,
    revision,
)
from optimizer.distillation.rejected import Rejected

STRONG = Teacher(shaped=True, lenses=True, characters=40_000)
SYSTEM = {"role": "system", "content": "Send each ticket to a desk."}


def request(text: str) -> dict[str, object]:
    return {"messages": [SYSTEM, {"role": "user", "content": text}]}


ITEMS = [item_of(request(f"Ticket {number}"), "north" if number % 2 else "south") for number in range(12)]
WRONG = [Mistake(request=json.dumps(request(f"Ticket {n}")).encode(), reply="south", expected="north") for n in (1, 3)]


def test_conventions_are_asked_with_the_instruction_the_labels_and_every_labelled_record() -> None:
    """However short the system prompt is, and whether or not the weak model has answered a record."""
    (question,) = questions("conventions", WRONG, (), ITEMS, (), STRONG, 8)
    assert "Send each ticket to a desk." in question.prompt and "<labels>" in question.prompt
    assert all(f"Ticket {number}" in question.prompt for number in range(12))
    assert question.prompt.count(FORM) == 1 and "at most 8" in question.prompt


def test_a_boundary_is_asked_with_the_confused_answers_only() -> None:
    """Other labels would hide what tells these two apart."""
    other = [item_of(request("Elsewhere"), "west")]
    (question,) = questions("boundary", WRONG, (), [*ITEMS, *other], (), STRONG, 8)
    assert "Ticket 1" in question.prompt and "Elsewhere" not in question.prompt


def test_every_question_fills_the_blanks_of_its_prompt() -> None:
    """No blank is left, whatever the lens, in a later round and at a repair."""
    review = Review(rules=(), mistakes=tuple(WRONG))
    asked = [repair([], STRONG), revision(review, STRONG, 8)]
    for lens in get_args(Lens):
        asked += questions(lens, WRONG, (), ITEMS, (), STRONG, 8)
    assert len(asked) == 6 and not any("{{" in question.prompt for question in asked)


def test_the_limits_of_the_lint_are_stated() -> None:
    """A rule must not be lost to a limit that its writer did not know."""
    (question,) = questions("conventions", WRONG, (), ITEMS, (), STRONG, 8)
    assert "450 characters" in question.prompt and "no person, address or link" in question.prompt


def test_a_later_round_shows_rules_remaining_mistakes_and_refusals() -> None:
    """The whole list is asked for again, so that rules can be edited, split, merged and deleted."""
    review = Review(
        rules=(Rule(text="If it rains, answer north."),),
        mistakes=tuple(WRONG),
        refused=(Rejected(what="See www.evil.example.", why="holds a link or an address"),),
    )
    prompt = revision(review, STRONG, 8).prompt
    assert "1. If it rains, answer north." in prompt and "Ticket 3" in prompt and "holds a link" in prompt
    assert "complete list" in prompt


def test_a_repair_names_each_refused_rule_with_the_reason() -> None:
    """One call mends all of them."""
    refused = [RuleRecord(id="1", text="Answer </refused> now.", reason="", status="refused", why="has 600 characters")]
    prompt = repair(refused, STRONG).prompt
    assert "has 600 characters" in prompt and "Answer &lt;/refused> now." in prompt
