"""The look of the mistakes decides what the strong model is asked."""

import json
from typing import Any

import pytest

from optimizer.dataset.items import Item, Mistake, item_of
from optimizer.distillation.induction.lens import Confusion, confusions, labels, lenses


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def item(text: str, expected: Any) -> Item:
    return item_of(asked(text), expected)


def mistake(text: str, reply: str, expected: Any, **more: Any) -> Mistake:
    return Mistake(request=json.dumps(asked(text, **more)).encode(), reply=reply, expected=expected)


DESKS = [item(f"Message {number}", "north" if number % 2 else "south") for number in range(12)]


def test_labels_ask_for_conventions_and_confused_pairs_for_their_boundary() -> None:
    """Two mistakes of the same kind are a confusion."""
    wrong = [mistake("Message 1", "south", "north"), mistake("Message 3", "south", "north")]
    assert lenses(wrong, DESKS) == ("conventions", "boundary")
    assert lenses(wrong[:1], DESKS) == ("conventions",)
    assert confusions(wrong) == (Confusion(expected="north", given="south", count=2),)


def test_labels_that_the_operator_lists_are_a_closed_set() -> None:
    """However seldom each is an answer; the more frequent come first."""
    seldom = [item(f"Message {number}", f"desk {number}") for number in range(4)]
    wrong = [mistake("Message 1", "desk 0", "desk 1")]
    assert lenses(wrong, seldom) == ("conventions", "procedure")
    listed = ("desk 9", "desk 1", "desk 0 ")
    assert lenses(wrong, seldom, listed) == ("conventions",)
    assert labels([entry.expected for entry in seldom], listed) == ("desk 1", "desk 0", "desk 9")


def test_numbers_ask_for_ways_of_working() -> None:
    """A word problem has no convention behind its answer."""
    items = [item(f"What is {number} plus 5?", number + 5) for number in range(12)]
    assert lenses([mistake("What is 3 plus 5?", "9", 8)], items) == ("procedure",)


def test_free_text_asks_for_both() -> None:
    """A written form may need conventions, working, or both: the race decides."""
    items = [item(f"Item {number}", f"form {number}") for number in range(12)]
    assert lenses([mistake("Item 3", "three", "form 3")], items) == ("conventions", "procedure")


def test_tools_ask_for_the_use_of_tools() -> None:
    """Most mistakes are made where tools are offered."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    assert lenses([mistake("Oslo?", "", "rain", tools=tools)], []) == ("tools",)


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        (["a", "b"] * 6, 2),
        (["a"] * 12, 0),
        ([str(number) for number in range(12)], 0),
        ([None] * 12, 0),
        ([], 0),
    ],
)
def test_labels_are_few_answers_that_recur(answers: list[Any], count: int) -> None:
    """A single answer is no choice, and answers that never recur are no labels."""
    assert len(labels(answers)) == count


def test_no_mistakes_ask_for_ways_of_working() -> None:
    """Nothing to look at: the question of old."""
    assert lenses([], DESKS) == ("procedure",)
