"""The field of a form: found wherever it stands, in whatever pieces the form comes, and replaced alone."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.form_data import FieldSearch, FormField, boundary_of, with_field, with_value

BOUNDARY = b"xYz"
NASTY = [b"--xYz", b"\r\n--xY", b"\r\n--xYzz\r\n", b"\r\n\r\n", b'name="model"', b"\r\n--", b"--", b"\r", b"\n", b"\0"]


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--xYz\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, value)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xYz--\r\n"


def search(body: bytes, *cuts: int) -> FieldSearch:
    """A search that was fed a body, cut at these places."""
    made = FieldSearch(BOUNDARY, "model")
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(places):
        made.feed(body[start:end])
    return made


def content(data: bytes) -> bool:
    """Whether bytes may stand in a part: they hold no mark of the form."""
    return not re.search(rb"\r\n--xYz(\r\n|--)", b"\r\n" + data + b"\r\n")


FILES = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(NASTY)), max_size=8).map(b"".join).filter(content)
CUTS = st.lists(st.integers(0, 10**6), max_size=9)


@given(files=st.lists(FILES, max_size=3), after=st.lists(FILES, max_size=2), cuts=CUTS)
def test_the_rest_of_a_form_stays_byte_for_byte(files: list[bytes], after: list[bytes], cuts: list[int]) -> None:
    """Before and behind the field, in any pieces, and whatever the files hold."""
    before, behind = (
        b"".join(part(b"file", data, b'; filename="a"') for data in some) for some in (files, after)
    )  # fmt: skip
    body = before + part(b"model", b"whisper-1") + behind + b"--xYz--\r\n"
    made = search(body, *cuts)
    assert made.field is not None and made.field.value == "whisper-1" and made.done
    assert with_value(body, made.field, "other") == before + part(b"model", b"other") + behind + b"--xYz--\r\n"
    assert made.read == body


@given(body=st.binary(max_size=200) | FILES, cuts=st.lists(st.integers(0, 10**6), max_size=5))
def test_what_is_no_form_has_no_field(body: bytes, cuts: list[int]) -> None:
    """Any bytes; nothing is raised, and the pieces change nothing."""
    made, whole = search(body, *cuts), search(body)
    assert (made.field, made.done, made.read) == (whole.field, whole.done, body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (form(part(b"model", b"")), ""),
        (form(part(b"model", "größer".encode())), "größer"),
        (form(b"--xYz\r\nContent-Type: text/plain\r\ncontent-disposition: Form-Data; name=model\r\n\r\nm\r\n"), "m"),
        (b"preamble\r\n" + form(part(b"model", b"m")), "m"),
        (form(part(b"model", b"first"), part(b"model", b"second")), "first"),
        (form(part(b"model", b"m", b'; filename="model"')), None),
        (form(part(b"models", b"m")), None),
        (form(part(b"file", b"x", b'; filename="name=model"')), None),
        (form(part(b"model", b"\xff")), None),
        (form(part(b"model", b"m" * 2000)), None),
        (form(), None),
        (part(b"model", b"m")[:-1], None),
        (b"--xYz\r\n" + b"a: b\r\n" * 3000, None),
    ],
)
def test_the_field_is_one_of_that_name_and_no_file(body: bytes, value: str | None) -> None:
    """The first of several; not in a file's name, too long, in no text, or cut off."""
    field = search(body).field
    assert (field.value if field is not None else None) == value


def test_a_search_ends_where_nothing_more_can_come() -> None:
    """At the form's end, at headers without one, and at a value that is no name; else it waits for more."""
    assert search(form(part(b"file", b"x"))).done
    assert search(b"--xYz\r\n" + b"a: b\r\n" * 3000).done
    assert search(part(b"model", b"m" * 5000)[:4000]).done
    assert not search(part(b"file", b"x" * 5000)[:-2]).done


def test_a_field_is_put_in_front() -> None:
    """So that a server finds it before the file."""
    body = with_field(form(part(b"file", b"x")), BOUNDARY, "model", "m")
    assert body == form(part(b"model", b"m"), part(b"file", b"x"))
    assert isinstance(search(body).field, FormField)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=x", b"x"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b;c"', b"a b;c"),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=x", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_a_forms_boundary_stands_in_its_type(kind: str, boundary: bytes | None) -> None:
    """Quoted or not."""
    assert boundary_of(kind) == boundary
