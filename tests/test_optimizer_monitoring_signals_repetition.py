"""Loops are found; tables, lists, code and poems are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.monitoring.signals.repetition import loops

POEM = """Row, row, row your boat
Gently down the stream
Merrily, merrily, merrily, merrily
Life is but a dream
"""
TABLE = "| name | qty |\n|------|-----|\n" + "\n".join(f"| nut {number} | 0 |" for number in range(60))
EQUAL_ROWS = "<table>\n" + "<tr><td>0</td><td>0</td></tr>\n" * 40 + "</table>"
CODE = "\n".join(f"    assert add({number}, 0) == {number}" for number in range(50))
NESTED = "".join("  " * depth + "</div>\n" for depth in range(40, 0, -1))
LABELS = "positive\n" * 80
STEPS = "\n".join(f"{number}. Check the oil level and the tyre pressure of car {number}." for number in range(1, 60))


@pytest.mark.parametrize(
    "text",
    [
        "Sure. " + "I think that we should go there. " * 20,
        "The answer is\n" + "the same line once more\n" * 30,
        "Ein Satz. " + "Das ist der Grund, warum das so ist; " * 30 + "Das ist der Gr",
        "x " * 10 + "a paragraph of several words that goes on for a while, and on, and on. " * 12 + "\n\n\n",
    ],
)
def test_a_wording_that_repeats_to_the_end_is_a_loop(text: str) -> None:
    """However it ended, and wherever in the wording it ended."""
    assert loops(text, cut=True) and loops(text, cut=False)


@pytest.mark.parametrize("text", ["the " * 200, "ha" * 300, "Well, " + "\\frac{a}{" * 60, "好的" * 100, LABELS])
def test_what_a_limit_cut_off_needs_less_to_be_a_loop(text: str) -> None:
    """A short piece over and over that had no end of its own; a list of equal labels that ended may be right."""
    assert loops(text, cut=True) and not loops(text, cut=False)


@pytest.mark.parametrize("text", [POEM * 3, TABLE, EQUAL_ROWS, CODE, NESTED, STEPS, "", "a", "Yes.", "=" * 500])
@pytest.mark.parametrize("cut", [True, False])
def test_tables_lists_poems_and_code_are_no_loops(text: str, *, cut: bool) -> None:
    """Not when they ended, and not when they were cut off."""
    assert not loops(text, cut=cut)


@pytest.mark.parametrize("text", ["0, " * 400, "|---" * 100, "\n" * 900, "0 0 1\n" * 99])
def test_what_has_no_letters_is_data(text: str) -> None:
    """Matrices, rules of tables and white space repeat by their nature."""
    assert not loops(text, cut=True)


def test_a_loop_that_the_reply_left_is_none() -> None:
    """Only the end counts: what went on to something else is a list, or has recovered."""
    assert not loops("I think that we should go there. " * 20 + "Anyway: the answer is 42.", cut=True)


@given(st.text(alphabet="ab \n", max_size=400), st.booleans())
def test_it_ends_for_every_text(text: str, cut: bool) -> None:
    """Texts of few letters recur everywhere."""
    assert loops(text, cut=cut) in (True, False)


@given(st.text(alphabet="abcdefgh ", min_size=20, max_size=60).filter(lambda unit: len(set(unit.strip())) > 5))
def test_every_piece_is_found_when_it_is_repeated(unit: str) -> None:
    """Up to a tenth of what is looked at."""
    assert loops("Before. " + unit * 12, cut=True) or not (unit * 12).strip()
