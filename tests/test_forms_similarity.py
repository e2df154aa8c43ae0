"""The nearest of many texts: exact where it matters, bounded in time, and only among those allowed."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forms.similarity import COMPARED, SimilarityIndex

WORDS = ("card", "lost", "stolen", "refund", "late", "pin", "blocked", "transfer", "fee", "abroad", "top", "up", "cash")
TEXTS = st.lists(st.text(max_size=40), max_size=30)


def sentences(count: int, seed: int = 1) -> list[str]:
    randomness = random.Random(seed)
    return [" ".join(randomness.choices(WORDS, k=5)) for _ in range(count)]


def exact(texts: list[str], question: str, count: int) -> list[int]:
    """The same, slowly: cosine of tf-idf over all trigrams, as textbooks have it."""

    def counts(text: str) -> Counter[str]:
        folded = f" {' '.join(text.casefold().split())} "
        return Counter(folded[at : at + 3] for at in range(len(folded) - 2))

    each = [counts(text) for text in texts]
    shared = Counter(trigram for one in each for trigram in one)
    rarity = {trigram: 1 + math.log((1 + len(texts)) / (1 + n)) for trigram, n in shared.items()}

    def vector(found: Counter[str]) -> dict[str, float]:
        weights = {trigram: (1 + math.log(n)) * rarity[trigram] for trigram, n in found.items() if trigram in rarity}
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {trigram: weight / length for trigram, weight in weights.items()}

    asked = vector(counts(question))
    scores = [sum(weight * asked.get(trigram, 0.0) for trigram, weight in vector(one).items()) for one in each]
    return sorted(range(len(texts)), key=lambda position: (-scores[position], position))[:count]


def test_a_text_is_most_like_itself() -> None:
    """Case and white space do not count."""
    texts = sentences(500)
    index = SimilarityIndex(texts)
    for position in (0, 77, 499):
        nearest = index.nearest(f"  {texts[position].upper()} ", 4)
        assert texts[nearest[0]] == texts[position] and len(set(nearest)) == 4


def test_among_a_few_texts_the_answer_is_exact() -> None:
    """No text is left out before the comparison."""
    texts = sentences(COMPARED)
    index = SimilarityIndex(texts)
    for question in sentences(50, seed=2):
        assert index.nearest(question, 4) == exact(texts, question, 4)


def test_among_many_texts_the_answer_is_nearly_exact() -> None:
    """The votes elect the texts that are compared; nine of ten of the true neighbours are among them."""
    texts = sentences(600)
    index = SimilarityIndex(texts)
    questions = sentences(20, seed=2)
    hits = sum(len(set(index.nearest(question, 4)) & set(exact(texts, question, 4))) for question in questions)
    assert hits >= 0.9 * 4 * len(questions)


def test_only_allowed_texts_are_returned() -> None:
    """A text of somebody else is never found, however like it is."""
    texts = sentences(300)
    index = SimilarityIndex(texts)
    allowed = sum(1 << position for position in range(0, 300, 3))
    for question in texts:
        nearest = index.nearest(question, 5, among=allowed)
        assert len(nearest) == 5 and all(position % 3 == 0 for position in nearest)
    assert index.nearest(texts[0], 4, among=0) == []


def test_without_any_likeness_the_first_texts_fill_the_places() -> None:
    """They still show the form of an answer."""
    index = SimilarityIndex(["aaa", "bbb", "ccc"])
    assert index.nearest("zzz", 2) == [0, 1]
    assert index.nearest("ccc", 2) == [2, 0]
    assert index.nearest("ccc", 9) == [2, 0, 1]


@given(TEXTS, st.text(max_size=60), st.integers(0, 40))
def test_any_text_can_be_looked_up(texts: list[str], question: str, count: int) -> None:
    """Empty texts, one character, half a surrogate pair: all neighbours are different, and as many as there can be."""
    nearest = SimilarityIndex(texts).nearest(question, count)
    assert len(nearest) == len(set(nearest)) == min(count, len(texts))


@pytest.mark.parametrize("question", ["x" * 10**6, " " * 10**6, "\ud800" * 1000, ""])
def test_a_long_question_is_cut(question: str) -> None:
    """Its beginning is compared, so that a look-up takes no longer than for any other."""
    assert SimilarityIndex(sentences(50)).nearest(question, 3)
