"""Which template a text was made from, found again from the texts alone."""

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.discovery.partition import partition
from optimizer.discovery.unspaced import size
from optimizer.discovery.words import words
from tests.unclaimed import BOILERPLATE, KINDS, NAMES, Kind, agreement, document, sample


def result(texts: list[str]) -> list[int]:
    """The number of each text's template."""
    distinct = {text: place for place, text in enumerate(dict.fromkeys(map(words, texts)))}
    weights = [0] * len(distinct)
    for text in texts:
        weights[distinct[words(text)]] += 1
    labels = {
        member: number
        for number, template in enumerate(partition(list(distinct), weights, size=size))
        for member in template.members
    }
    return [labels[distinct[words(text)]] for text in texts]


LARGE = pytest.param(10_000, 1, marks=pytest.mark.drill)


@pytest.mark.parametrize(("size", "seed"), [(20, 1), (100, 1), (100, 2), (1000, 1), (1000, 2), LARGE])
def test_the_templates_of_a_mixed_log_are_found_exactly(size: int, seed: int) -> None:
    """Names, dates, retrieved documents and shared boilerplate change nothing."""
    labels, texts = sample(KINDS, size, seed)
    assert agreement(labels, result(texts)) == 1.0


@pytest.mark.parametrize("size", [10, 100, pytest.param(1000, marks=pytest.mark.drill)])
def test_documents_that_are_never_the_same_make_no_template(size: int) -> None:
    """However long they are beside the instructions."""
    long: Mapping[str, Kind] = {
        "it": lambda random: (
            f"Answer from the text below only.\n\n{document(random, 300)}\n\nBe brief and say where it stands."
        )
    }
    assert set(result(sample(long, size)[1])) == {0}


def test_many_tasks_behind_one_boilerplate_stay_apart() -> None:
    """Each differs from the others in one sentence, with a name in it."""
    verbs = ("Classify", "Summarise", "Translate", "Score", "Route", "Tag", "Rewrite", "Shorten", "Explain", "Check")

    def kind(verb: str) -> Kind:
        return lambda random: f"{BOILERPLATE}{verb} the ticket of {random.choice(NAMES)} and {verb.lower()} it again."

    labels, texts = sample({verb: kind(verb) for verb in verbs}, 2000)
    assert agreement(labels, result(texts)) == 1.0


def test_a_rare_prompt_is_not_lost_beside_a_frequent_one() -> None:
    """Five requests of five thousand, which begin like the others."""
    texts = ["You are a helpful assistant."] * 5000 + [
        "You are a helpful assistant. Put the given words into alphabetical order, one on a line."
    ] * 5
    labels = result(texts)
    assert labels[:5000] == [labels[0]] * 5000 and labels[5000:] == [labels[-1]] * 5 and labels[0] != labels[-1]


def test_a_parameter_of_a_word_or_two_makes_no_template() -> None:
    """It has no form of its own, and each of its values comes often."""
    tones = ("formal", "very warm", "dry", "plain")
    texts = [
        f"Rewrite the mail that the user gives you in a {Random(number).choice(tones)} tone, and keep its language."
        for number in range(500)
    ]
    assert set(result(texts)) == {0}


def test_the_core_is_what_nearly_all_texts_share() -> None:
    """It tells a template from its fillings."""
    texts = [
        f"Look up the word {filling} in the list and give its number.".split() for filling in ("oak", "elm", "ash")
    ]
    (template,) = partition(texts, [1, 1, 1])
    shared = " ".join(texts[0][place] for place in template.core)
    assert shared == "Look up the word in the list and give its number."


def test_texts_that_share_nothing_have_no_core() -> None:
    """They come back together: what to make of them is the caller's to say."""
    (template,) = partition([["one", "thing"], ["another"]], [1, 1])
    assert template.core == () and set(template.members) == {0, 1}


@given(st.lists(st.tuples(st.lists(st.sampled_from("abcdefgh"), max_size=12), st.integers(1, 50)), max_size=30))
def test_every_text_is_in_one_template(texts: list[tuple[list[str], int]]) -> None:
    """Whatever the texts are."""
    templates = partition([text for text, _ in texts], [weight for _, weight in texts])
    assert sorted(member for template in templates for member in template.members) == list(range(len(texts)))
