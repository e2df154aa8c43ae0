"""Near-duplicates: the same question in nearly the same words, with the same answer."""

import random
from typing import Any

import pytest

from optimizer.dataset.families import families
from optimizer.dataset.items import Item, item_of

FIRST = ("ka", "lo", "mi", "nu", "pe", "ri", "so", "tu", "va", "wo")
LAST = ("dra", "fen", "gol", "ver", "win", "bax", "cor", "dus", "lim", "nor")
WORDS = [f"{first}{last}" for first in FIRST for last in LAST]


YES_NO = ("no", "yes")


def asked(text: str, expected: Any, *, system: str = "You answer questions about orders.") -> Item:
    return item_of({"messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}, expected)


def sentence(seed: int) -> str:
    return " ".join(random.Random(seed).sample(WORDS, 12))


def others(count: int = 40) -> list[Item]:
    return [asked(f"Tell me about {sentence(number)}", f"answer {number}") for number in range(count)]


def test_a_date_in_the_instructions_makes_no_new_question() -> None:
    """Nor does a counter, a time or an identifier there."""
    clocks = [
        "Today is 2025-03-01.", "Today is 2025-11-30T08:15:00Z.", "Today is 1.3.2025, 14:05.",
        "Today is Monday, 3 March 2025.", "Today is Friday, October 14, 2025.",
        "Today is 7be2a4f0-52e5-4f5b-a1a7-0a0fd9c1d2e3.", "Today is 1741254000.",
    ]  # fmt: skip
    items = others() + [asked("Where is my parcel now?", "shipping", system=clock) for clock in clocks]
    assert families(items)[0] == list(range(40, 47))


def test_a_question_in_nearly_the_same_words_is_the_same_question() -> None:
    """Greetings, punctuation, numbers and case aside."""
    base = sentence(99)
    variants = [base, f"Hello, {base}?", f"{base.upper()} please!", f"{base} (ticket 4711)", f"  {base}...thanks"]
    items = others() + [asked(text, "refund") for text in variants]
    assert any(family == list(range(40, 45)) for family in families(items))


def test_questions_that_differ_in_their_numbers_and_answers_are_different() -> None:
    """The form of a workload is no near-duplicate: sums, dates to rewrite, amounts to extract."""
    sums = [asked(f"What is {number} plus {number + 3}?", 2 * number + 3) for number in range(60)]
    dates = [asked(f"Write 2025-03-{day:02} in words", f"the day number {day}") for day in range(1, 29)]
    assert families(sums) == [] == families(dates)


def test_yes_and_no_over_a_template_are_no_family() -> None:
    """Nearly equal texts with both answers: the numbers decide."""
    sizes = [asked(f"Is {number} greater than {50 - number}?", YES_NO[number > 25]) for number in range(50)]
    assert families(sizes) == []


def test_the_form_of_the_workload_is_no_family() -> None:
    """Texts that make up more than a third of the items are what the task is about."""
    same = [asked(f"Where is order {number}?", "shipping") for number in range(30)]
    assert families([*same, *others(20)]) == []
    assert len(families([*same, *others(80)])[-1]) == 30


def test_one_wrong_label_does_not_part_a_family() -> None:
    """Labels have errors."""
    base = sentence(777)
    items = others(100) + [asked(f"{base} {number}", "refund" if number else "other") for number in range(20)]
    assert any(len(family) == 20 for family in families(items))


def test_answers_in_free_words_are_never_equal() -> None:
    """Long answers do not part near-duplicates."""
    base = sentence(888)
    items = others() + [
        asked(f"{base} {number}", f"answer {sentence(200 + number)}, and so on" * 2) for number in range(4)
    ]
    assert any(family == [40, 41, 42, 43] for family in families(items))


@pytest.mark.parametrize("text", ["我的订单在哪里请帮我查一下谢谢", "注文した商品はどこにありますか教えてください"])
def test_scripts_without_spaces_are_compared_by_character(text: str) -> None:
    """A greeting before the question makes no other question."""
    items = [*others(), asked(text, "shipping"), asked(f"{text}吗", "shipping")]
    assert any(family == [40, 41] for family in families(items))


def test_different_questions_stay_apart() -> None:
    """With equal answers, in one domain and under one long instruction."""
    system = "You are the assistant of a shop. " * 50
    items = [asked(sentence(number), "refund", system=system) for number in range(200)]
    assert families(items) == []


def test_items_without_an_answer_are_no_family() -> None:
    """Whether their numbers matter is not known."""
    assert families([asked(f"What is {number} plus 1?", None) for number in range(3)] + others()) == []
