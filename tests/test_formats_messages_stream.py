"""Chat streams as Anthropic streams a message: well formed, complete, and the same as the whole reply."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.errors import Overloaded, UpstreamBroken, UpstreamGarbage
from gateway.formats import sse
from gateway.formats.messages_reply import MessageOptions, to_message
from gateway.formats.messages_stream import MessageStream, error_event

OPTIONS = MessageOptions(model="claude", stops=("END",), thinking=True)
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}

Delta = dict[str, Any]


def chunk(delta: Delta | None = None, finish: str | None = None, usage: Any = None, **choice: Any) -> bytes:
    """An event of a chat stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]
    return sse.event_of(json.dumps({"id": "ex-1", "choices": choices, "usage": usage}).encode())


def chat(deltas: Iterable[Delta], finish: str = "stop", usage: Any = None, **choice: Any) -> list[bytes]:
    """A whole chat stream, as ``completion`` hands it on."""
    said = [chunk({"role": "assistant", "content": ""}), *map(chunk, deltas), chunk({}, finish, **choice)]
    return [*said, *([chunk(usage=usage)] if usage else []), sse.DONE]


def call(arguments: str = "", **marks: Any) -> Delta:
    """A piece of a tool call."""
    name = marks.pop("name", None)
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{**marks, "function": function}]}


def translated(events: Sequence[bytes], options: MessageOptions = OPTIONS) -> list[dict[str, Any]]:
    """What the events become, decoded; each is one that the official client's own types take."""
    stream = MessageStream(message_id="ex-1", options=options)
    found = []
    for event in sse.Events().feed(b"".join(map(stream.feed, events))):
        name, data = event.removesuffix(b"\n\n").split(b"\n")
        decoded = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + decoded["type"].encode()
        EVENT.validate_python(decoded, strict=True)
        found.append(decoded)
    return found


def accumulated(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client puts together, strict about the order of events."""
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    start, *blocks, end, _ = events
    assert start["type"] == "message_start"
    message: dict[str, Any] = start["message"]
    assert message["content"] == [] and message["stop_reason"] is None
    live: dict[str, Any] | None = None
    pieces: list[str] = []
    for event in blocks:
        if event["type"] == "content_block_start":
            assert live is None and event["index"] == len(message["content"])
            live, pieces = event["content_block"], []
            message["content"].append(live)
            continue
        assert live is not None and event["index"] == len(message["content"]) - 1
        if event["type"] == "content_block_delta":
            piece = event["delta"][DELTAS[event["delta"]["type"]]]
            assert piece, "an empty delta"
            pieces.append(piece)
            continue
        assert event["type"] == "content_block_stop"
        whole = "".join(pieces)
        if live["type"] == "tool_use":
            assert live["input"] == {}
            live["input"] = json.loads(whole or "{}")
        else:
            assert live[live["type"]] == "" and whole
            live[live["type"]] = whole
        live = None
    assert live is None
    return {**message, **end["delta"], "usage": {**message["usage"], **end["usage"]}}


def content(deltas: Iterable[Delta], **fields: Any) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = accumulated(translated(chat(deltas, **fields)))["content"]
    return blocks


def tool(id_: str, input_: Any, name: str = "weather") -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": input_}


def test_text_is_streamed_piece_by_piece() -> None:
    """The events in Anthropic's order, each piece as it came, the counts at the end."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    none = dict.fromkeys(("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"), 0)
    empty: dict[str, Any] = {
        "id": "ex-1", "type": "message", "role": "assistant", "model": "claude", "content": [],
        "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": none,
    }  # fmt: skip
    assert translated(chat([{"content": "Hel"}, {"content": "lo."}], usage=usage)) == [
        {"type": "message_start", "message": empty},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo."}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
            "usage": {**none, "input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3},
        },
        {"type": "message_stop"},
    ]


def test_nothing_waits_that_need_not() -> None:
    """Every piece of text, reasoning and arguments leaves with the chunk that brought it."""
    stream = MessageStream(message_id="ex-1", options=OPTIONS)
    pieces = [
        {"reasoning_content": "hm"},
        {"content": "yes"},
        call('{"ci', index=0, id="a", name="f"),
        call('ty":1}', index=0),
        call('{"x"', index=1, id="b", name="g"),
    ]
    for delta, piece in zip(pieces, ["hm", "yes", '{\\"ci', 'ty\\":1}', '{\\"x\\"'], strict=True):
        assert piece in stream.feed(chunk(delta)).decode()


def test_a_stream_that_says_nothing_is_a_message() -> None:
    """Without content."""
    assert content([]) == content([{"content": ""}, {"content": None}, {"tool_calls": []}]) == []
    assert accumulated(translated([sse.DONE]))["stop_reason"] == "end_turn"


def test_comments_say_nothing() -> None:
    """They do not begin the message either."""
    assert MessageStream(message_id="ex-1", options=OPTIONS).feed(b": keep-alive\n\n") == b""


def test_what_begins_anew_is_a_new_block() -> None:
    """Text around a tool call, and reasoning between texts, stay where they were said."""
    blocks = content(
        [
            {"content": "a"},
            call("{}", index=0, id="1", name="f"),
            {"content": "b"},
            {"reasoning": "c"},
            {"content": "d"},
        ]
    )
    assert [block.get("text", block.get("thinking")) for block in blocks] == ["a", None, "b", "c", "d"]


def test_reasoning_is_shown_only_if_asked_for() -> None:
    """As in a whole reply."""
    events = translated(chat([{"reasoning": "hm"}, {"content": "4"}]), MessageOptions(model="claude"))
    assert accumulated(events)["content"] == [{"type": "text", "text": "4"}]


@pytest.mark.parametrize(
    "pieces",
    [
        [
            call("", index=0, id="a", name="weather"), call('{"x"', index=0), call(":1}", index=0),
            call("", index=1, id="b", name="weather"), call('{"x":2}', index=1),
        ],
        [
            call("", index=0, id="a", name="weather"), call("", index=1, id="b", name="weather"),
            call('{"x"', index=0), call('{"x":', index=1), call(":1}", index=0), call("2}", index=1),
        ],
        [call('{"x"', index=0, id="a", name="weather"), call(":1}", index=0, id="a", name="weather"),
         call('{"x":2}', index=0, id="b", name="weather")],
        [call('{"x"', index=0, id="a", name="weather"), call(":1}", index=0, id="", name=""),
         call('{"x":2}', index=1, id="b", name="weather")],
        [call('{"x"', id="a", name="weather"), call(":1}"), call('{"x":', id="b", name="weather"), call("2}")],
        [call('{"x"', id="a", name="weather"), call('{"x":', id="b", name="weather"), call(":1}", id="a"),
         call("2}", id="b")],
        [call('{"x"', index=0), call("", index=0, id="a"), call(":1}", index=0, name="weather"),
         call('{"x":2}', index=1, id="b", name="weather")],
        [call('{"x":1}', index=3, id="a", name="weather"), call("\n", index=3), call('{"x":2}', index=9, id="b",
         name="weather"), call(" ", index=3)],
    ],
    ids=["one by one", "names first", "all numbered 0", "empty marks", "no index", "no index, mixed", "name last",
         "space at the end"],
)  # fmt: skip
def test_tool_calls_are_put_together_as_upstreams_mark_them(pieces: list[Delta]) -> None:
    """By id, by index or by neither, one by one or mixed: two calls, each with its own arguments."""
    assert content(pieces) == [tool("a", {"x": 1}), tool("b", {"x": 2})]


def test_calls_without_ids_get_them() -> None:
    """The same ones as in a whole reply."""
    pieces = [call("{}", index=0, name="weather"), call("{}", index=1, name="weather")]
    assert content(pieces) == [tool("toolu_ex-1_0", {}), tool("toolu_ex-1_1", {})]


def test_a_call_without_arguments_has_no_delta() -> None:
    """Its input stays the empty object that it began with."""
    assert content([call("", index=0, id="a", name="weather"), call(index=1, id="b", name="weather")]) == [
        tool("a", {}),
        tool("b", {}),
    ]


def test_arguments_that_broke_off_are_streamed_as_they_came() -> None:
    """The client sees them, and why the reply ended."""
    events = translated(chat([call('{"city":"Os', index=0, id="a", name="weather")], finish="length"))
    deltas = [event["delta"] for event in events if event["type"].endswith("_delta")]
    assert deltas == [
        {"type": "input_json_delta", "partial_json": '{"city":"Os'},
        {"stop_reason": "max_tokens", "stop_sequence": None, "stop_details": None},
    ]


def test_the_stop_sequence_is_told_where_it_is_known() -> None:
    """As in a whole reply."""
    message = accumulated(translated(chat([{"content": "x"}], stop_reason="END")))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_other_choices_are_not_mixed_in() -> None:
    """A message has one."""
    other = sse.event_of(b'{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}')
    message = accumulated(translated([other, *chat([{"content": "yes"}])]))
    assert (message["content"][0]["text"], message["stop_reason"]) == ("yes", "end_turn")


@given(st.binary() | st.integers(0, 100).map(lambda length: (sse.data_of(chunk({"content": "x"})) or b"")[:length]))
def test_any_data_is_translated_or_garbage(data: bytes) -> None:
    """Nothing that an upstream streams raises anything else."""
    try:
        MessageStream(message_id="ex-1", options=OPTIONS).feed(sse.event_of(data))
    except UpstreamGarbage:
        return


def test_an_error_is_an_event() -> None:
    """The one that ends a stream that has begun."""
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Stopping."},"request_id":"ex-1"}'
    assert error_event(Overloaded("Stopping."), "ex-1") == b"event: error\ndata: " + body + b"\n\n"


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
OBJECTS = st.dictionaries(
    TEXT, st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3))
)
CALLS = st.lists(st.tuples(st.sampled_from(["f", "g"]), OBJECTS, st.booleans()), max_size=4)
CUTS = st.lists(st.integers(0, 10**4), max_size=12)


def cut(whole: str, positions: list[int]) -> list[str]:
    ends = sorted({position % (len(whole) + 1) for position in positions})
    return [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]


def arguments_of(calls: list[tuple[str, dict[str, Any], bool]]) -> list[str]:
    return [json.dumps(value, ensure_ascii=plain) if value or plain else "" for _, value, plain in calls]


def pieces_of(index: int, name: str, arguments: str, positions: list[int]) -> list[Delta]:
    """A tool call as upstreams stream it: its marks first, then its arguments."""
    first = call("", index=index, id=f"call_{index}", name=name)
    return [first, *(call(piece, index=index) for piece in cut(arguments, positions))]


@given(TEXT, TEXT, CALLS, CUTS, st.sampled_from(["stop", "length", "tool_calls"]), st.booleans(), st.randoms())
@example("", "", [("f", {}, False), ("g", {"a": 1}, True)], [0, 1, 2], "stop", True, None)
def test_a_stream_adds_up_to_the_whole_reply(
    thinking: str,
    text: str,
    calls: list[tuple[str, dict[str, Any], bool]],
    positions: list[int],
    finish: str,
    mixed: bool,
    random: Any,
) -> None:
    """However it was cut, and however the pieces of parallel calls are mixed."""
    arguments = arguments_of(calls)
    queues = [pieces_of(at, calls[at][0], arguments[at], positions) for at in range(len(calls))]
    deltas = [{"reasoning": piece} for piece in cut(thinking, positions)]
    deltas += [{"content": piece} for piece in cut(text, positions)]
    deltas += [queue.pop(0) for queue in queues] if mixed else []  # calls begin in their order
    while any(queues):
        waiting = [queue for queue in queues if queue]
        deltas.append((random.choice(waiting) if mixed and random else waiting[0]).pop(0))
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    tool_calls = [
        {"id": f"call_{at}", "function": {"name": calls[at][0], "arguments": arguments[at]}} for at in range(len(calls))
    ]
    message = {"content": text, "reasoning": thinking, "tool_calls": tool_calls}
    whole = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    assert accumulated(translated(chat(deltas, finish, usage))) == json.loads(
        to_message(json.dumps(whole).encode(), message_id="ex-1", options=OPTIONS)
    )


DELTAS_OF_ANY_ORDER = st.lists(
    st.one_of(
        TEXT.map(lambda piece: {"content": piece}),
        TEXT.map(lambda piece: {"reasoning_content": piece}),
        st.builds(
            lambda index, id_, name, piece: call(piece, index=index, id=id_, name=name),
            st.none() | st.integers(0, 2),
            st.none() | st.sampled_from(["", "a", "b"]),
            st.none() | st.sampled_from(["", "f"]),
            st.sampled_from(["", "{}", '{"a":1', "}", " ", "x"]),
        ),
    )
)


@given(DELTAS_OF_ANY_ORDER)
def test_any_stream_is_well_formed_and_says_all_its_text(deltas: list[Delta]) -> None:
    """Whatever nonsense a model or an upstream makes of its calls."""
    events = translated(chat(deltas))
    text = "".join(delta["content"] for delta in deltas if "content" in delta)
    said = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    assert said == text
    order = [(event["type"].removeprefix("content_block_"), event["index"]) for event in events if "index" in event]
    for before, after in zip(
        [("stop", -1), *order], [*order, ("start", order[-1][1] + 1 if order else 0)], strict=True
    ):
        new = ("start", before[1] + 1)
        assert after == new if before[0] == "stop" else after in (("delta", before[1]), ("stop", before[1]))


@given(DELTAS_OF_ANY_ORDER, CUTS)
def test_the_network_does_not_matter(deltas: list[Delta], positions: list[int]) -> None:
    """Events cut out of a stream that was split anywhere say the same."""
    stream = b"".join(chat(deltas))
    ends = sorted({position % (len(stream) + 1) for position in positions})
    events = sse.Events()
    pieces = [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]
    assert translated([event for piece in pieces for event in events.feed(piece)]) == translated(chat(deltas))


def test_a_tools_long_name_comes_back() -> None:
    """In the first piece of its block."""
    options = MessageOptions(model="claude", names={"short": "x" * 90})
    told = translated(chat([call("{}", index=0, id="c", name="short")], "tool_calls"), options)
    assert next(each["content_block"]["name"] for each in told if "content_block" in each) == "x" * 90


def test_a_stream_that_ended_in_an_error_is_no_reply() -> None:
    """The client hears of it instead of an end."""
    with pytest.raises(UpstreamBroken):
        translated(chat([{"content": "It is"}], "error"))
