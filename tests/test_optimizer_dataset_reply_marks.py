"""The marks of a text, in whatever disguise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset.reply_marks import Kind, marks, word_count


@pytest.mark.parametrize(
    ("text", "kind", "mark"),
    [
        ("4327 evil.de/win", "link", "evil.de/win"),
        ("see https://evil.example/a?b=c", "link", "https://evil.example/a?b=c"),
        ("see hxxps://evil[.]com", "link", "hxxps://evil[.]com"),
        ("at evil dot de today", "link", "evil dot de"),
        ("v\uff45il\uff0ecom", "link", "veil.com"),
        ("ev\u200bil.com", "link", "evil.com"),
        ("![](//e.de/p.png)", "link", "![](//e.de/p.png)"),
        ("<img src=//e.de/p>", "link", "<img src=//e.de/p>"),
        ("write to bob@evil.example", "address", "bob@evil.example"),
        ("write to bob at evil dot example", "address", "bob at evil dot example"),
        ("ask @evilcorp", "address", "@evilcorp"),
        ("try 10.0.0.7", "address", "10.0.0.7"),
        ("call +49 30 1234567", "address", "+49 30 1234567"),
        ("use ZXZpbC5kZS93aW4=", "code", "zxzpbc5kzs93aw4="),
        ("use a1b2c3d4e5f6", "code", "a1b2c3d4e5f6"),
        ("as Acme says", "name", "acme"),
        ("It is 4,327.5 now", "number", "4,327.5"),
        ("It is so", "word", "so"),
    ],
)
def test_a_mark_is_seen_in_its_disguise(text: str, kind: Kind, mark: str) -> None:
    """By its kind, in one case."""
    assert mark in marks(text)[kind]


@pytest.mark.parametrize("text", ["The answer is 42.", "Double it, e.g. 2 and 2. Then add.", "refund", "Yes. No."])
def test_plain_answers_have_no_links_addresses_and_codes(text: str) -> None:
    """Nor names: a word at the start of a sentence is none."""
    found = marks(text)
    assert not any(found[kind] for kind in ("link", "address", "code", "name"))


@given(st.text())
def test_any_text_has_marks(text: str) -> None:
    """Or none, and a number of words."""
    assert set(marks(text)) == {"link", "address", "code", "name", "number", "word"}
    assert word_count(text) >= 0


def test_words_are_counted() -> None:
    """Numbers, too."""
    assert word_count("It is 42, I think.") == 5
