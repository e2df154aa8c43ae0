"""A reply cut to its JSON object."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.json_text import JsonText

OBJECTS = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)


def cut(*pieces: str) -> str:
    text = JsonText()
    return "".join(map(text.feed, pieces)) + text.end()


@pytest.mark.parametrize(
    "said",
    ['{"a": 1}', 'Here it is:\n```json\n{"a": 1}\n```\nAnything else?', '\n {"a": 1} {"b": 2}'],
    ids=["alone", "in a fence", "two"],
)
def test_the_first_object_stays(said: str) -> None:
    """Whatever stands around it."""
    assert cut(said) == cut(*said) == '{"a": 1}'


@given(OBJECTS, st.lists(st.integers(0, 200)))
def test_an_object_stays_as_it_came_however_it_is_cut(value: dict[str, object], places: list[int]) -> None:
    """Braces and quotes in texts count as text."""
    said = json.dumps(value, ensure_ascii=False)
    bounds = [0, *sorted(place for place in places if place < len(said)), len(said)]
    pieces = [said[start:end] for start, end in itertools.pairwise(bounds)]
    assert cut("```json\n", *pieces, "\n```") == said


@pytest.mark.parametrize("said", ["I cannot do that.", "", '{"a": [1, "x'], ids=["no object", "nothing", "cut off"])
def test_what_is_no_whole_object_stays(said: str) -> None:
    """A refusal is read, and so is what a limit cut off."""
    assert cut(said) == cut(*said) == said
