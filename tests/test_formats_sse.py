"""Events of a stream: the same however they were split, handed on as the bytes that arrived."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamGarbage
from gateway.formats import sse

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def cut(stream: bytes, positions: list[int]) -> list[bytes]:
    ends = sorted({position % (len(stream) + 1) for position in positions})
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]


def read(pieces: list[bytes]) -> tuple[list[bytes], list[bytes | None]]:
    """The events of a stream, and the data of each and of what is left at its end."""
    events = sse.Events()
    found = [event for piece in pieces for event in events.feed(piece)]
    return found, [*map(sse.data_of, found), sse.data_of(events.end())]


@pytest.mark.parametrize("positions", [[], [1], [2], [1, 2], [3], [4]])
def test_a_byte_order_mark_in_front_is_no_part_of_the_stream(positions: list[int]) -> None:
    """However it was split; behind the beginning it is text like any other."""
    stream = b"\xef\xbb\xbf" + b'data: {"a":"\xef\xbb\xbf"}\n\n'
    assert read(cut(stream, positions))[1] == [b'{"a":"\xef\xbb\xbf"}', None]


LINES = st.one_of(
    st.sampled_from(["", "data:", "data: [DONE]", ": keep-alive", "event: x", "id: 3", "retry: 1"]),
    TEXT.map(lambda text: "data: " + json.dumps({"text": text}, ensure_ascii=False)),
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS)).map(lambda lines: "".join(map("".join, lines)).encode())


@given(STREAMS, st.lists(st.integers(0, 10**4), max_size=20))
def test_a_stream_gives_the_same_events_however_it_was_split(stream: bytes, positions: list[int]) -> None:
    """Also inside a character of several bytes, and between CR and LF."""
    assert read(cut(stream, positions)) == read([stream])


@given(STREAMS)
def test_byte_by_byte_is_a_split_like_any_other(stream: bytes) -> None:
    """The worst network gives the same events."""
    assert read([stream[index : index + 1] for index in range(len(stream))]) == read([stream])


@given(st.lists(TEXT, min_size=1), ENDS)
def test_every_event_arrives_with_its_data(texts: list[str], end: str) -> None:
    """Whatever ends its lines."""
    data = [json.dumps(text, ensure_ascii=False) for text in texts]
    stream = "".join(f"data: {item}{end}{end}" for item in data).encode()
    # A CR at the very end of a stream may be half of a CRLF: its event is complete at the end only.
    assert [item for item in read([stream])[1] if item is not None] == [item.encode() for item in data]


def test_an_event_keeps_its_bytes() -> None:
    """Comments, names and spacing are the upstream's business."""
    stream = b': hello\nevent: x\ndata:  {"a": 1.0}\n\n'
    assert read([stream])[0] == [stream]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data\n\n", None),
        (b": comment\n\n", None),
        (b": comment\ndata: x\n\n", b"x"),
        (b"event: ping\n\n", None),
        (b"database: x\n\n", None),
        (b"data:\n\n", None),
        (b"data: \n\n", None),
        (b"", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    """Its data lines joined; comments, other fields and empty lines have none."""
    assert sse.data_of(event) == data


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r", b"\r\n"])
def test_a_last_event_without_its_blank_line_is_not_lost(tail: bytes) -> None:
    """Some upstreams close right behind the last event."""
    assert read([b"data: a\n\ndata: [DONE]" + tail])[1] == [b"a", b"[DONE]"]


def test_an_event_without_end_is_garbage() -> None:
    """Memory is bounded whatever an upstream sends."""
    events = sse.Events()
    events.feed(b"x" * sse.MAX_EVENT)
    with pytest.raises(UpstreamGarbage):
        events.feed(b"x")


@given(TEXT, TEXT, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]), st.booleans())
def test_an_id_is_replaced_and_the_content_is_not(
    upstream_id: str, text: str, before: bool, separators: tuple[str, str], ascii_only: bool
) -> None:
    """Whatever the upstream's id and the text are (even the same), wherever the id stands and however it is spelled."""
    rest = {
        "model": upstream_id,
        "choices": [{"index": 0, "delta": {"content": text, "note": f'"id":"{upstream_id}"'}}],
    }
    fields = {"id": upstream_id, **rest} if before else {**rest, "id": upstream_id}
    data = json.dumps(fields, separators=separators, ensure_ascii=ascii_only).encode()
    event = sse.with_id(sse.event_of(data), json.loads(data).get("id"), "ex-1")
    assert json.loads(sse.data_of(event) or b"") == {**rest, "id": "ex-1"}


def test_only_the_id_is_touched_in_the_usual_case() -> None:
    """Numbers and spacing stay the upstream's bytes."""
    event = b': c\ndata: {"x": 1.0,  "id": "up-1", "choices": []}\n\n'
    assert sse.with_id(event, "up-1", "ex-1") == event.replace(b"up-1", b"ex-1")


@pytest.mark.parametrize("data", [b'{"choices":[]}', b'{"id":null,"choices":[]}', b'{"id":"","choices":[]}'])
def test_an_event_without_an_id_gets_one(data: bytes) -> None:
    """The caller finds the exchange's id in every event."""
    event = sse.with_id(sse.event_of(data), json.loads(data).get("id"), "ex-1")
    assert json.loads(sse.data_of(event) or b"") == {"id": "ex-1", "choices": []}


def test_a_field_is_set_and_the_others_keep_their_bytes() -> None:
    """Numbers and escapes of an upstream survive."""
    assert (
        sse.with_field(b'{"x": 1.0, "y": "\\u00e9", "z": 1}', "z", [2]) == b'data: {"x":1.0,"y":"\\u00e9","z":[2]}\n\n'
    )


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"x":"\xff"}'])
def test_a_field_of_what_is_no_object_is_garbage(data: bytes) -> None:
    """It is the upstream's fault, and said so."""
    with pytest.raises(UpstreamGarbage):
        sse.with_field(data, "z", 1)


@pytest.mark.parametrize("before", [b"", b"event: x\n", b'{"id":"a"}event: x\n', b': {"id":"a"}\n'])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_the_id_is_changed_in_the_data_alone(before: bytes, end: bytes) -> None:
    """A comment or an unknown line that looks like it stays."""
    assert sse.with_id(before + b'data: {"id":"a"}' + end, "a", "b") == before + b'data: {"id":"b"}' + end


def test_data_of_several_lines_is_written_anew() -> None:
    """A line between them could hold the id first."""
    event = b'data: \n{"id":"a"}x: y\ndata: {"id":"a"}\n\n'
    assert sse.data_of(sse.with_id(event, "a", "b")) == b'{"id":"b"}'
