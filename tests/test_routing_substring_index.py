"""Which of many phrases a text may hold: none that it holds is missed."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.routing.substring_index import PIECE, SubstringIndex, literal_text

LETTERS = st.text("ab ", max_size=20)
PHRASES = st.lists(st.text("ab ", min_size=PIECE, max_size=PIECE + 4), max_size=12)


@given(phrases=PHRASES, text=st.text("ab ", max_size=60))
@example(phrases=["a" * PIECE], text="a" * PIECE)
def test_every_phrase_that_the_text_holds_is_found(phrases: list[str], text: str) -> None:
    """Also where phrases hold each other or are the same."""
    held = {position for position, phrase in enumerate(phrases) if phrase in text}
    assert held <= set(SubstringIndex(phrases).possible(text))


def test_what_a_text_does_not_hold_is_hardly_ever_looked_at() -> None:
    """A common beginning files nobody under it."""
    phrases = SubstringIndex([f"You are the assistant of customer {number:05d}" for number in range(1000)])
    assert phrases.possible("Hello. You are the assistant of customer 00017. Be brief.") == [17]
    assert phrases.possible("You are the assistant") == []
    assert phrases.possible("") == []


@given(text=st.text(), around=st.text())
def test_an_escaped_text_is_its_own_phrase(text: str, around: str) -> None:
    """However many signs of expressions it holds."""
    assert literal_text(re.escape(text)) == text


@given(st.text(r"ab.^$*+?{}[]\|()-#&~AZbBdws \n1", max_size=12), LETTERS)
@example("^a\\.b$", "a.b")
@example("\\bab\\b", "ab")
@example("a\\", "a")
@example("a{2}", "aa")
def test_a_phrase_stands_wherever_its_expression_is_found(expression: str, text: str) -> None:
    """For every expression that is taken for plain."""
    phrase = literal_text(expression)
    if phrase is not None:
        for where in (text, phrase, text + phrase + text, re.sub(r"[\\^$]", "", expression)):
            if re.search(expression, where):
                assert phrase in where


def test_what_is_not_plain_has_no_phrase() -> None:
    """Flags, choices, classes, repeats, groups."""
    for expression in ("(?i)sum", "a|b", "[ab]", "ab*", "ab?", "a{2}", r"\d", r"\w+", "a.b", "(a)", r"a\1", "a\\"):
        assert literal_text(expression) is None, expression
    assert [literal_text(one) for one in ("", "sum", r"^sum\b", r"\Aa\.b\Z", r"a\ b")] == [
        "",
        "sum",
        "sum",
        "a.b",
        "a b",
    ]
