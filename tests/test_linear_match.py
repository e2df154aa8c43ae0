"""What an expression extracts is what Python's engine would, and no text makes it slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.linear_match import MOST_STEPS, LinearMatch


def by_python(expression: str, text: str) -> str | None:
    match = re.search(expression, text)
    return None if match is None else (match[1] if match.re.groups else match[0]) or ""


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"answer: (\d+)", "The answer: 42, the answer: 43"),
        (r"(a|ab)(c|bcd)", "abcd"),
        (r"a*?b", "xaab"),
        (r"a{2,3}?b|a{2,3}", "aaab"),
        (r"^x$", "x\n"),
        (r"(?m)^(\w+)$", "a b\nc\nd"),
        (r"\bfoo\B.", "a foo food"),
        (r"(?i)ANSWER:\s*([a-z]+)", "Answer: Paris."),
        (r"(?i:stra\u00dfe) (?-i:A)", "STRASSE A, STRA\u00dfE A, stra\u00dfe A"),
        (r"(?s)<a>(.*)</a>", "<a>1\n2</a></a>"),
        (r"(\d+)\D*$", "1 22 333 abc"),
        (r"([^\W\d_]+)\Z", "12 \u00fcber\u0663"),
        (r"(?a)(\w+)", "\u00fc b"),
        (r"(x)?y", "y"),
        (r"[\s\S]{2}", "a\nb"),
        (r"(a+)+$", "aaa!"),
        (r"", "abc"),
        (r"[\]\-^]", "a^-]"),
    ],
)
def test_the_first_match_is_pythons(expression: str, text: str) -> None:
    """Leftmost, greedy or lazy as it stands, with the first group."""
    assert LinearMatch(expression).extract(text) == by_python(expression, text)


PARTS = st.recursive(
    st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", r"\w", "a\\b", "\\bb", "c$"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format)
        | inner.map("({})".format)
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{1,2}", "{2}", "{0,2}?"])).map(
            lambda pair: f"a(?:{pair[0]}){pair[1]}b?"
        )
        | st.tuples(inner, inner).map("^(?:{0[0]}){0[1]}".format)
    ),
    max_leaves=8,
)


@given(PARTS, st.text(alphabet="abc \n", max_size=10))
def test_any_expression_extracts_what_python_does(expression: str, text: str) -> None:
    """Groups, branches, repetitions, lazy and greedy, and positions."""
    assert LinearMatch(expression).extract(text) == by_python(expression, text)


def test_no_reply_makes_it_backtrack() -> None:
    """Python's engine would take longer than the age of the universe."""
    for expression in (r"(a+)+$", r"(a|a)*b", r"(.*)(.*)(.*)(.*)(.*)(.*)=b", r"(?:a?){30}a{30}!"):
        assert LinearMatch(expression).extract("a" * 2000 + "?") is None


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (r"(?<=answer: )\d+", "look-around"),
        (r"a(?!b)", "look-around"),
        (r"(a)\1", "back-reference"),
        ("(", "not a regular expression"),
        (f"(?:ab){{{MOST_STEPS}}}", "too large"),
    ],
)
def test_what_takes_time_without_a_bound_is_refused(expression: str, why: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=why):
        LinearMatch(expression)
