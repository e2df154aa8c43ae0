"""Tags: what a model writes before it closes them never reaches the caller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.tags import CLOSE_TAG, OPEN_TAG, TagFilter

PROSE = st.text(max_size=30).filter(lambda text: CLOSE_TAG not in text)


@st.composite
def split_texts(draw: st.DrawFn, text: st.SearchStrategy[str]) -> tuple[str, list[str]]:
    """A text and one way of cutting it into pieces, some of them empty."""
    whole = draw(text)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return whole, [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def filtered(pieces: list[str]) -> tuple[str, TagFilter]:
    tags = TagFilter()
    return "".join([tags.feed(piece) for piece in pieces]), tags


@given(
    split_texts(st.lists(st.sampled_from(["<", "working", ">", "/", " ", "\n", "4", OPEN_TAG, CLOSE_TAG])).map("".join))
)
def test_a_filter_does_not_mind_where_a_text_was_split(text_and_pieces: tuple[str, list[str]]) -> None:
    """Any split of the same text gives the same reply and the same working."""
    text, pieces = text_and_pieces
    (split, in_pieces), (whole, at_once) = filtered(pieces), filtered([text])
    assert split == whole
    assert (in_pieces.working, in_pieces.replied) == (at_once.working, at_once.replied)


@given(PROSE, PROSE.map(str.strip).filter(bool), st.data())
def test_nothing_from_inside_the_tags_is_let_through(working: str, reply: str, data: st.DataObject) -> None:
    """The caller receives what stands behind the closing tag, all of it and nothing else."""
    text = f"{OPEN_TAG}{working}{CLOSE_TAG}\n\n{reply}"
    _, pieces = data.draw(split_texts(st.just(text)))
    out, tags = filtered(pieces)
    assert out == reply
    assert tags.replied
    assert tags.working == working.replace(OPEN_TAG, "").strip()


@given(split_texts(PROSE))
def test_without_a_closing_tag_everything_is_working(text_and_pieces: tuple[str, list[str]]) -> None:
    """A model that forgot the tags has not replied yet."""
    text, pieces = text_and_pieces
    out, tags = filtered(pieces)
    assert (out, tags.replied, tags.working) == ("", False, text.replace(OPEN_TAG, "").strip())


def test_a_closing_tag_with_nothing_behind_it_is_no_reply() -> None:
    """An empty reply would be handed on as the answer."""
    out, tags = filtered([f"{OPEN_TAG}2 + 2 = 4{CLOSE_TAG}", "\n "])
    assert (out, tags.replied, tags.working) == ("", False, "2 + 2 = 4")


def test_a_short_line_without_tags_is_a_reply_at_its_end() -> None:
    """Asking once more would cost a second call for the answer that is there already."""
    out, tags = filtered([" 4", "2 \n"])
    assert (out, tags.end(), tags.replied) == ("", "42", True)


@pytest.mark.parametrize(
    "text",
    ["", " \n", "2 and 2 is 4\nso 4", f"{OPEN_TAG}4", "x" * 201, f"{OPEN_TAG}4{CLOSE_TAG}", f"2{CLOSE_TAG}4"],
)
def test_anything_else_is_no_reply_at_its_end(text: str) -> None:
    """Several lines or a long text are working without tags; behind a closing tag everything is known already."""
    _, tags = filtered([text])
    replied = tags.replied
    assert tags.end() == "" and tags.replied is replied
