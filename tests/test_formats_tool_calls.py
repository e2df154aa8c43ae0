"""Tool calls put together from the pieces of a stream."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import ToolCall
from gateway.formats.tool_calls import CallPieces


def gathered(*chunks: Any) -> tuple[ToolCall, ...]:
    pieces = CallPieces()
    for chunk in chunks:
        pieces.add(chunk)
    return pieces.whole()


def piece(arguments: str, **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    return {**fields, "function": {"arguments": arguments} | ({"name": name} if name else {})}


calls = st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=20)), max_size=4)


@given(calls, st.data())
def test_arguments_split_anywhere_come_back_whole(wanted: list[tuple[str, str]], data: st.DataObject) -> None:
    """The calls take turns in any order, and only the first piece of each names it, as OpenAI sends them."""
    queues = [
        [piece("", index=index, id=f"call_{index}", name=name), *(piece(part, index=index) for part in arguments)]
        for index, (name, arguments) in enumerate(wanted)
    ]
    chunks = [[queue.pop(0)] for queue in queues]
    while any(queues):
        chunks.append([data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0)])
    assert gathered(*chunks) == tuple(ToolCall(name=name, arguments=arguments) for name, arguments in wanted)


def test_a_known_id_wins_over_the_index() -> None:
    """Some upstreams say index 0 for every call."""
    first = [piece('{"a"', index=0, id="x", name="f"), piece('{"b"', index=0, id="y", name="g")]
    assert gathered([first[0]], [first[1]], [piece(":1}", index=0, id="x")], [piece(":2}", index=0, id="y")]) == (
        ToolCall(name="f", arguments='{"a":1}'), ToolCall(name="g", arguments='{"b":2}'),
    )  # fmt: skip


def test_a_piece_without_id_and_index_goes_on_with_the_last_call() -> None:
    """There is nothing else that it could belong to."""
    assert gathered([piece("{", id="x", name="f")], [piece("}")]) == (ToolCall(name="f", arguments="{}"),)


odd = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["index", "id", "function", "name", "arguments"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(odd)
def test_nothing_that_an_upstream_sends_is_our_failure(deltas: Any) -> None:
    """Odd pieces are passed over."""
    gathered(json.loads(json.dumps(deltas)))
