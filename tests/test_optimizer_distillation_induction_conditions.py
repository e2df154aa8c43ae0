"""A condition is CEL over the question's words, and singles nobody out."""

import pytest

from optimizer.distillation.induction.conditions import condition_problems
from optimizer.distillation.induction.lint import corpus

TEXTS = [f"My refund for order {number} is late" for number in range(9)] + ["Greetings from Zanzibar, a refund please"]
KNOWN = corpus(TEXTS, [])


@pytest.mark.parametrize(
    "when",
    ["", 'text.contains("refund")', "text.lowerAscii().contains('refun') || size(text) > 40", 'text.startsWith("My")'],
)
def test_conditions_on_common_words_pass(when: str) -> None:
    """Parts of words, and lengths, too."""
    assert condition_problems(when, KNOWN) == []


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("text ===", "of another form"),
        ('text.matches("a*")', "of another form"),
        ("days > 30", "only text is known"),
        ('text.contains("Zanzibar")', "few conversations (zanzibar)"),
        ("text.contains('refund') && !text.contains('acme')", "few conversations (acme)"),
    ],
)
def test_other_conditions_are_refused_with_the_reason(when: str, why: str) -> None:
    """A rule for one tenant would be unseen in the replies to all others."""
    assert why in condition_problems(when, KNOWN)[0]


def test_a_word_of_a_single_tenant_is_rare_however_often_it_comes() -> None:
    """Where there are several tenants."""
    tenants = ["a"] * 9 + ["b"]
    (reason,) = condition_problems('text.contains("late")', corpus(TEXTS, [], tenants=tenants))
    assert "few conversations (late)" in reason
