"""What of a text differs between requests and can be told by its form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.discovery.words import HEAD, TAIL, VALUE, shortened, words


@pytest.mark.parametrize(
    "text",
    [
        "The order of 3 May 2024 is late.",
        "The order of January 5, 2023 is late.",
        "The order of 2024-01-02T10:00:00Z is late.",
        "The order of Alice Smith is late.",
        "The order of Jean-Luc O'Neill is late.",
        "The order of anna@example.com is late.",
        "The order of 8f14e45f-ceea-467f-9575-0a2b3c4d5e6f is late.",
        "The order of https://shop.example/a?b=c is late.",
        "The order of $1,200.50 is late.",
    ],
)
def test_a_value_is_told_by_its_form(text: str) -> None:
    """Names, dates, numbers and addresses are one mark, however many words they have."""
    assert words(text) == ("The", "order", "of", VALUE, "is", "late.")


def test_a_capital_that_begins_a_sentence_a_line_or_a_field_is_no_name() -> None:
    """Instructions begin with one, too."""
    text = "Be brief. Answer in JSON.\nNever guess.\nTone: Formal"
    assert VALUE not in words(text)
    assert VALUE not in words("Answer in JSON or SQL, as I say")


def test_what_stands_between_tags_of_data_is_one_value() -> None:
    """Documents that come again and again would look like instructions otherwise."""
    assert words("Read this.\n<context>\nIt was late. Very.\n</context>\nBe brief.") == (
        "Read", "this.", "<context>", VALUE, "</context>", "Be", "brief.",
    )  # fmt: skip
    assert "brief." in words("<rules>\nBe brief.\n</rules>")
    assert "brief." in words("The tag <context> is never closed. Be brief.")


def test_of_a_long_text_both_ends_are_looked_at() -> None:
    """Instructions stand there."""
    result = words("first words " + "middle " * (HEAD + TAIL) + "last words")
    assert result[:2] == ("first", "words") and result[-2:] == ("last", "words") and VALUE in result
    assert len(" ".join(result)) <= HEAD + TAIL + 3


def test_a_text_without_spaces_has_words_and_values() -> None:
    """Characters, with a mark for numbers, dates and documents; both ends of a long text are read."""
    assert words("请查询2024年3月5日的订单A-12。") == (*"请查询", VALUE, *"的订单", VALUE, "。")
    assert shortened("用 JSON 回答。", 60) == "用JSON回答。"
    long = words("请" + "文" * (HEAD + TAIL) + "答")
    assert (long[0], long[-1], long.count(VALUE)) == ("请", "答", 1)


def test_what_people_are_shown_holds_no_value() -> None:
    """A listing gives nobody away."""
    shown = shortened("Write to bob@example.com about order 4711, then wait for his answer.", 30)
    assert "bob" not in shown and "4711" not in shown
    assert len(shown) <= 30


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    """Nothing that a client can send is refused."""
    assert all(word.strip() for word in words(text))
    assert len(shortened(text, 20)) <= 20


def test_many_tags_that_nobody_closes_are_read_once() -> None:
    """A text made to be slow is read in one go."""
    assert words("<doc>" * 100_000)
