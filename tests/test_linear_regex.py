"""Expressions searched in linear time: Python's meaning, or a clear refusal."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.linear_regex import LinearRegex

EXPRESSIONS = [
    "translate.*into (german|french)", "(?i)sum", r"^You are (?:a|an) \w+ assistant", "(a+)+$", r"\d+", r"[^\W\d_]+",
    r"[\w.-]+@", r"\s$", "(?s)a.b", "(?m)^b$", r"\bü", "a{2,3}b?", "[]a-c]", "(?x) a b # c", "(?i:A)b",
    "(?i)a(?-i:B)", "x*", "", r"[^\s]", r"[\D]", r"[\Wx]", r"[\S]", r"\Aa\Z", "(?P<n>a|b)c", r"(?a)\w", r"(?a)[\W]",
    r"(?a)\s\S\d\D", r"é|\u00fc", r"[\x00-\x1f]", "a|", "(?i)straße", "[&~|-]{2}", r"\\", r"\$ \^ \[ \] \{ \}",
    "(?:foo$|bar)", "[^a]", "a+?", "(?m)a$", r"\bsum\b",
]  # fmt: skip
TEXTS = [
    "", "a", "ab", "a b", "a\n", "b", "x\nb\ny", "ü", "aü", "übersetze", "SUM of", "You are an ÄÖÜ assistant",
    "translate x into french\n", "\u0663", "1 ", "\u2003", "é@", "a.b@c", "a\nb", "ABB", "aab", "]", "\\",
    "$ ^ [ ] { }", "STRASSE", "straße", "&&", "foo", "foo\n", "barx", "\x01", "_", "日本", "a\r", "ésum", "the sum.",
    "\x85", "\u203f", " x1y",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_keeps_its_meaning(expression: str) -> None:
    """In every text it is found exactly where Python finds it."""
    linear, backtracking = LinearRegex(expression), re.compile(expression)
    for text in TEXTS:
        assert linear.search(text) == (backtracking.search(text) is not None), text


PIECES = st.sampled_from([
    "a", "b", ".", r"\w", r"\d", r"\s", "[ab]", "[^a]", "(a|b)", "a*", "b+", "a?", "(?:ab){1,2}", "^", r"\b", "ü",
    r"\.",
])  # fmt: skip


@given(st.lists(PIECES, max_size=6).map("".join), st.text("ab ü.1\n", max_size=12))
def test_any_expression_of_usual_pieces_keeps_its_meaning(expression: str, text: str) -> None:
    """Put together at random."""
    assert LinearRegex(expression).search(text) == (re.search(expression, text) is not None)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(?=a)", "look-around"), ("(?<!a)b", "look-around"), (r"(a)\1", "a back-reference"),
        ("a++", "a possessive repetition"), ("(?>a)", "an atomic group"), ("(a)?(?(1)b|c)", "a condition on a group"),
        ("(?:a{999}){999}", "too large"), ("a$\\n", "behind \\$"), ("(", "not a regular expression"),
        ("a{99999999999}", "not a regular expression"), ("(" * 5000, "not a regular expression"),
        ("\ud800", "surrogate"), ("a" * 10_001, "more than 10000 characters"), ("(?L)a", "not a regular expression"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_in_linear_time_is_refused(expression: str, reason: str) -> None:
    """With the reason, when the configuration is read."""
    with pytest.raises(ValueError, match=reason):
        LinearRegex(expression)


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_a_wrong_one(expression: str) -> None:
    """Nothing else is raised."""
    with suppress(ValueError):
        assert isinstance(LinearRegex(expression).search("some text"), bool)


@pytest.mark.parametrize("expression", ["translate.*into (german|french)", "(a+)+$", "(.*)*x", "(a|aa)+$", "(a*)*b"])
def test_no_text_takes_long(expression: str) -> None:
    """Megabytes that would take Python's engine hours; this test would not end."""
    for text in ("translate " * 100_000, "a" * 1_000_000 + "!"):
        assert not LinearRegex(expression).search(text)


def test_half_of_a_surrogate_pair_in_a_text_is_no_error() -> None:
    """JSON can hold it."""
    assert LinearRegex("a").search("a\ud800") and not LinearRegex("b").search("\ud800")


def test_the_expression_is_in_the_representation() -> None:
    """For logs."""
    assert repr(LinearRegex("a+")) == "LinearRegex('a+')"


def test_an_expression_warns_nobody() -> None:
    """Python's parser would: the words are a client's, and the log is not theirs."""
    assert LinearRegex("[[]]").search("[]")
