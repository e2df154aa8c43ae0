"""The messages between gateway and recorder: they arrive as they were sent, and an exchange is encoded once."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange, Feedback, ToolCall, Usage
from gateway.errors import Conflict, PreceptorError, StoreError
from gateway.store.recorder.messages import (
    Exchanges,
    Failure,
    FeedbackAnswer,
    Judgement,
    RecorderState,
    Withdrawal,
    batch,
    encoded,
    exchanges_in,
    frame,
    received,
)
from gateway.store.selection import Address

TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
EXCHANGES = st.builds(
    Exchange,
    id=TEXTS, created=st.floats(allow_nan=False), task=st.none() | TEXTS, client_model=TEXTS, model=TEXTS,
    arm=st.sampled_from(["weak", "direct"]), rules=st.none() | NUMBERS, stream=st.booleans(),
    status=st.sampled_from(["ok", "error", "abandoned"]), http_status=NUMBERS, error=st.none() | TEXTS,
    request=st.binary(max_size=99), reply=st.none() | TEXTS, latency_ms=st.floats(allow_nan=False),
    usage=st.builds(Usage, output_tokens=NUMBERS),
    tool_calls=st.lists(st.builds(ToolCall, name=TEXTS, arguments=TEXTS), max_size=2).map(tuple),
)  # fmt: skip
FEEDBACK = Feedback(exchange_id="a", created=1.0, expected={"total": 1.5, "names": ["é"]}, comment="so")


async def arrived(data: bytes) -> Any:
    """The message at the other end."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await received(reader)


@given(exchanges=st.lists(EXCHANGES, max_size=3))
def test_exchanges_arrive_as_they_were_sent(exchanges: list[Exchange]) -> None:
    """Whatever texts and numbers are in them: a client must not be able to write a frame that nobody reads."""
    pieces = batch([encoded(exchange) for exchange in exchanges])
    assert asyncio.run(arrived(b"".join(pieces))) == Exchanges(tuple(exchanges))
    assert exchanges_in(pieces) == tuple(exchanges)


@pytest.mark.parametrize(
    "message",
    [
        Judgement(7, FEEDBACK, Address(ref="order-17", key="ann")),
        Judgement(7, FEEDBACK),
        Withdrawal(7),
        RecorderState(2, 1, "the disk is full"),
        FeedbackAnswer(7, "a"),
        FeedbackAnswer(7, failure=Failure("Conflict", "enough", "id", "exchange_withheld")),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_message_arrives_as_it_was_sent(message: Any) -> None:
    """With all of its fields."""
    assert await arrived(frame(message)) == message


@pytest.mark.parametrize("wrong", [{"reply": "\ud800"}, {"rules": 2**70}], ids=["half a character", "a huge number"])
def test_a_text_that_no_database_takes_is_refused(wrong: dict[str, Any]) -> None:
    """By whoever encodes it: nothing else is held up."""
    plain = Exchange(id="a", created=1.0, task=None, client_model="m", model="m", arm="direct", rules=None,
                     stream=False, status="ok", http_status=200)  # fmt: skip
    with pytest.raises((UnicodeEncodeError, OverflowError)):
        encoded(msgspec.structs.replace(plain, **wrong))


@pytest.mark.parametrize("error", [Conflict("enough", param="id", code="exchange_withheld"), StoreError("locked")])
def test_an_error_of_the_store_is_the_same_at_the_other_end(error: PreceptorError) -> None:
    """With its status, its field and its code."""
    again = Failure.of(error).error()
    assert (type(again), again.message, again.param, again.code) == (
        type(error), error.message, error.param, error.code,
    )  # fmt: skip


def test_any_other_error_is_the_gateway_s_own() -> None:
    """With status 500."""
    assert type(Failure("OverflowError", "no such number").error()) is PreceptorError
