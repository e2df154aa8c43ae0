"""HTML elements in which every text is escaped."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.report.markup import document, element, seen
from tests.reports import HOSTILE


class Read(HTMLParser):
    """What a browser would see: tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(st.text() | st.just(HOSTILE))
def test_a_text_is_a_text_wherever_it_stands(text: str) -> None:
    """As content and as the value of an attribute: it comes back as it was, and adds no tag and no attribute."""
    read = Read(element("p", text, title=text).text)
    assert read.tags == ["p"]
    assert read.values == [seen(text)]
    assert "".join(read.words) == seen(text)


def test_elements_stand_in_elements() -> None:
    """In any depth of lists; what is not there is not there."""
    made = element("ul", [element("li", "a & b"), None, [element("li", "c")]], class_="x", hidden=True, id=None)
    assert made.text == '<ul class="x" hidden><li>a &amp; b</li><li>c</li></ul>'


def test_names_are_ours() -> None:
    """No text becomes the name of a tag or of an attribute."""
    with pytest.raises(ValueError, match="no name"):
        element("p onload=x")
    with pytest.raises(ValueError, match="no name"):
        element("p", **{"on load": "x"})


def test_what_cannot_be_seen_is_marked() -> None:
    """Control characters and turned directions; line ends stay."""
    assert seen("a\x00b\u202ec\r\nd\te") == "a\ufffdb\ufffdc\nd\te"


def test_a_style_sheet_cannot_end_itself() -> None:
    """It is ours, and still held to that."""
    with pytest.raises(ValueError, match="style"):
        document([], style="</style>")
