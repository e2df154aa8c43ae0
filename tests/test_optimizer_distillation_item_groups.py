"""Groups of items: classes, tenants, languages, short and long questions."""

import msgspec
import pytest

from optimizer.dataset.items import Item, item_of
from optimizer.distillation.item_groups import groups_of, language_of


def asked(text: str, expected: object, tenant: str | None = None) -> Item:
    item = item_of({"messages": [{"role": "user", "content": text}]}, expected)
    return msgspec.structs.replace(item, tenant=tenant)


def test_answers_that_items_share_are_classes() -> None:
    """Twenty sums have twenty answers and no class; twenty tickets go to two desks."""
    tickets = [asked(f"Ticket {number}", "Billing" if number % 2 else "sales", "acme") for number in range(20)]
    named = groups_of(tickets)
    assert "class billing" in named[1] and "class sales" in named[0] and "tenant acme" in named[0]
    sums = groups_of([asked(f"Sum {number}", number) for number in range(20)])
    assert not any(name.startswith("class") for names in sums for name in names)
    assert groups_of([]) == []


def test_half_of_the_questions_are_short() -> None:
    """By the median of their characters."""
    named = groups_of([asked("x" * length, None) for length in (5, 6, 700, 800)])
    assert [("short questions" in names) for names in named] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France, and who told you that?", "English"),
        ("Ich habe das Paket nicht erhalten und die Rechnung ist falsch.", "German"),
        ("Je ne peux pas payer avec une carte, que faire pour les frais?", "French"),
        ("\u6211\u7684\u5305\u88f9\u5728\u54ea\u91cc", "cjk"),
        ("\u0413\u0434\u0435 \u043c\u043e\u0439 \u0437\u0430\u043a\u0430\u0437", "cyrillic"),
        ("12 + 7 = ?", "unknown"),
    ],
)
def test_a_language_is_guessed_from_common_words_or_the_script(text: str, language: str) -> None:
    """Good enough to see that one of them pays for the others."""
    assert language_of(text) == language
