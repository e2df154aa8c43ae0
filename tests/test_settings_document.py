"""A document held against types: every mistake at once, each under its key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from gateway.settings.document import Mistakes, check, convert, expanded, suggestion, texts


class Circle(msgspec.Struct, frozen=True, tag_field="kind", tag="circle", forbid_unknown_fields=True):
    radius: Annotated[float, Meta(gt=0)]


class Square(msgspec.Struct, frozen=True, tag_field="kind", tag="square", forbid_unknown_fields=True):
    side: int = 1


class Ink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    colour: Literal["red", "blue"] = "red"
    folder: Path = Path()


class Drawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    shape: Annotated[Circle | Square, Meta(description="What is drawn.")] = Square()
    inks: dict[Annotated[str, Meta(pattern="^[a-z]+$")], Ink] = {}
    notes: Mapping[str, str] = {}
    copies: Annotated[int, Meta(ge=1)] | None = None


def mistakes_in(value: Any) -> dict[str, str]:
    mistakes = Mistakes()
    check(value, Drawing, mistakes)
    return mistakes


def test_a_good_document_has_none_and_converts() -> None:
    """Nested tables, tagged ones and paths become the structs."""
    value = {
        "title": "t",
        "shape": {"kind": "circle", "radius": 2},
        "inks": {"a": {"folder": "x/y"}},
        "notes": {"n": "m"},
    }
    assert mistakes_in(value) == {}
    assert convert(value, Drawing) == Drawing(
        title="t", shape=Circle(radius=2.0), inks={"a": Ink(folder=Path("x/y"))}, notes={"n": "m"}
    )


def test_every_mistake_is_said_under_its_key() -> None:
    """However deep they lie, and however many there are."""
    value = {
        "tilte": "t",
        "shape": {"kind": "circle", "radius": -1, "color": "red"},
        "inks": {"a": {"colour": "green"}, "B": {"folder": 3}, "c": "red"},
        "notes": {"n": 1},
        "copies": 0,
    }
    assert mistakes_in(value) == {
        "tilte": "unknown setting (did you mean 'title'?)",
        "shape.radius": "Expected `float` > 0.0",
        "shape.color": "unknown setting",
        "inks.a.colour": "must be one of red, blue",
        "inks.B": "a name has letters, digits and . _ : / - only",
        "inks.B.folder": "Expected `str`",
        "inks.c": "must be a table",
        "notes.n": "Expected `str`, got `int`",
        "copies": "Expected `int` >= 1",
        "title": "is missing",
    }


@pytest.mark.parametrize("shape", [{}, {"kind": "sqare"}, {"kind": 3}, {"kind": []}])
def test_a_kind_that_is_none_lists_the_kinds(shape: dict[str, Any]) -> None:
    """Missing, mistyped or no text."""
    assert mistakes_in({"title": "t", "shape": shape}) == {"shape.kind": "must be one of circle, square"}


def test_a_missing_setting_of_the_chosen_kind_is_said() -> None:
    """Only that kind's settings count."""
    assert mistakes_in({"title": "t", "shape": {"kind": "circle"}}) == {"shape.radius": "is missing"}
    assert mistakes_in({"title": "t", "shape": {"kind": "square", "radius": 1}}) == {"shape.radius": "unknown setting"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["circle", "red"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["kind", "radius", "colour"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["title", "shape", "inks", "notes", "copies"]), JSON))
def test_no_mistake_means_that_it_converts(value: dict[str, Any]) -> None:
    """The check is as strict as the conversion, and no stricter."""
    if mistakes_in(value):
        with pytest.raises(msgspec.ValidationError):
            convert(value, Drawing)
    else:
        assert isinstance(convert(value, Drawing), Drawing)


def test_variables_are_replaced_in_every_string() -> None:
    """In tables and lists; what is no string stays."""
    mistakes = Mistakes()
    value = {"a": "${X}", "b": ["-${X}-${Y}-"], "c": {"d": "$X {X} ${}"}, "e": 3}
    assert expanded(value, {"X": "1", "Y": "${X}"}, mistakes) == {
        "a": "1", "b": ["-1-${X}-"], "c": {"d": "$X {X} ${}"}, "e": 3
    }  # fmt: skip
    assert not mistakes


def test_a_missing_variable_is_named_with_its_key() -> None:
    """All that one value lacks, each once; the value itself stays, so that nothing else is complained of."""
    mistakes = Mistakes()
    value = {"a": {"b": ["x", "${NOPE}${X}${NOPE}${NADA}"]}}
    assert expanded(value, {"X": "1"}, mistakes) == value
    assert mistakes.lines() == ["a.b[1]: environment variable not set: NOPE, NADA"]


def test_the_first_mistake_of_a_key_counts() -> None:
    """What follows from it is not one more mistake."""
    mistakes = Mistakes()
    mistakes.note("a", "first")
    mistakes.note("a", "second")
    assert mistakes.lines() == ["a: first"]


def test_texts_come_with_the_names_that_lead_to_them() -> None:
    """Strings in tables, and in lists under their position."""
    found = list(texts({"a": {"b": "x", "c": 3}, "d": "y", "e": ["z", 4]}))
    assert found == [(("a", "b"), "x"), (("d",), "y"), (("e", "0"), "z")]


def test_a_suggestion_is_made_for_what_is_close() -> None:
    """And for nothing else."""
    assert suggestion("prot", ["host", "port"]) == " (did you mean 'port'?)"
    assert suggestion("zzz", ["host", "port"]) == ""
