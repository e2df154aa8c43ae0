"""Anthropic's official client against the gateway before an upstream that speaks OpenAI's API."""

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, DefaultHttpxClient, beta_tool
from anthropic.types import MessageParam, ToolParam
from pydantic import BaseModel

from tests.conformance import replies
from tests.conformance.stage import Running
from tests.conformance.upstream import ScriptedUpstream, refused, silence, stream, whole

Gateway = Callable[..., Running]

HELLO: list[MessageParam] = [{"role": "user", "content": "What is 2 + 2?"}]
WEATHER: ToolParam = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PNG = "iVBORw0KGgo="

IT_IS_4 = whole(replies.chat(replies.choice("It is 4")))
OSLO, ROME = replies.dumped({"city": "Oslo"}), replies.dumped({"city": "Rome"})
CALLS = replies.choice(
    "Let me look.",
    finish="tool_calls",
    tool_calls=[replies.call(0, "weather", OSLO), replies.call(1, "weather", ROME)],
)
CALLS_STREAMED = replies.chunks(
    replies.delta("Let me "), replies.delta("look."),
    replies.call_begins(0, "weather"), replies.call_goes_on(0, OSLO[:5]), replies.call_goes_on(0, OSLO[5:]),
    replies.call_begins(1, "weather"), replies.call_goes_on(1, ROME[:9]), replies.call_goes_on(1, ROME[9:]),
    replies.delta(finish="tool_calls"),
)  # fmt: skip


def client_of(running: Running, **options: Any) -> Anthropic:
    """The client, which adds ``/v1/messages`` to its base URL by itself and does not retry."""
    # Reading the system's certificates takes longer than most tests, and no test uses TLS.
    no_certificates = DefaultHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return Anthropic(
        api_key="sk-client",
        base_url=running.url.removesuffix("/v1"),
        max_retries=0,
        http_client=no_certificates,
        **options,
    )


@pytest.fixture(scope="module")
def client(through: Running) -> Iterator[Anthropic]:
    """Through the gateway that hands on unknown models."""
    with client_of(through) as made:
        yield made


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "small", "max_tokens": 50, "messages": HELLO, **more}


def test_a_message(client: Anthropic, upstream: ScriptedUpstream, through: Running) -> None:
    """Asked as a chat completion of the upstream's own model, recorded as any exchange."""
    upstream.play([IT_IS_4])
    message = client.messages.create(
        **asked(system="Be brief.", stop_sequences=["END"]), extra_body={"temperature": 0.5}
    )
    assert [(block.type, block.text) for block in message.content if block.type == "text"] == [("text", "It is 4")]
    assert (message.role, message.model, message.stop_reason) == ("assistant", "small", "end_turn")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (5, 2)
    assert message.usage.output_tokens == 3
    (request,) = upstream.asked
    assert request.line == "POST /v1/chat/completions"
    assert request.json == {
        "model": "tiny-1b",
        "max_tokens": 50,
        "temperature": 0.5,
        "stop": ["END"],
        "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
    }
    assert "sk-client" not in str(request.headers)
    exchange = through.recorded(message.id)
    assert (exchange.reply, exchange.status, exchange.model) == ("It is 4", "ok", "small")


def test_a_stream(client: Anthropic, upstream: ScriptedUpstream, through: Running) -> None:
    """Text as it comes; what it adds up to is what a whole reply would have been."""
    upstream.play([stream(replies.chunks(replies.delta("It is"), replies.delta(" 4"))), IT_IS_4])
    with client.messages.stream(**asked()) as events:
        assert list(events.text_stream) == ["It is", " 4"]
        message = events.get_final_message()
    assert upstream.asked[0].json["stream_options"] == {"include_usage": True}
    exchange = through.recorded(message.id)
    assert (exchange.reply, exchange.status, exchange.stream) == ("It is 4", "ok", True)
    again = client.messages.create(**asked())
    assert message.to_dict() | {"id": again.id} == again.to_dict()


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tool_calls(client: Anthropic, upstream: ScriptedUpstream, streamed: bool) -> None:
    """Text, then each call with its input; forced as the client said."""
    upstream.play([stream(CALLS_STREAMED) if streamed else whole(replies.chat(CALLS))])
    body = asked(tools=[WEATHER], tool_choice={"type": "any"})
    if streamed:
        with client.messages.stream(**body) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(**body)
    assert message.stop_reason == "tool_use"
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}},
    ]
    request = upstream.asked[0].json
    assert request["tool_choice"] == "required"
    assert request["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]


@beta_tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"sunny in {city}"


@pytest.mark.parametrize("streamed", [False, True])
def test_the_clients_own_tool_loop(client: Anthropic, upstream: ScriptedUpstream, streamed: bool) -> None:
    """It asks for a thread at first, is told to go on without, calls the tools and sends their results."""
    last = replies.chunks(replies.delta("Sunny."))
    upstream.play(
        [stream(CALLS_STREAMED), stream(last)]
        if streamed
        else [whole(replies.chat(CALLS)), whole(replies.chat(replies.choice("Sunny.")))]
    )
    runner = client.beta.messages.tool_runner(**asked(tools=[weather], stream=streamed))
    message = runner.until_done()
    assert [block.text for block in message.content if block.type == "text"] == ["Sunny."]
    assert upstream.asked[1].json["messages"] == [
        *HELLO,
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [replies.call(0, "weather", OSLO), replies.call(1, "weather", ROME)],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "sunny in Oslo"},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny in Rome"},
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_thinking(client: Anthropic, upstream: ScriptedUpstream, streamed: bool) -> None:
    """Shown to a client that asked for it; it may send it back."""
    thought_streamed = replies.chunks(replies.delta(reasoning_content="2 + 2"), replies.delta("4"))
    thought = whole(replies.chat(replies.choice("4", reasoning_content="2 + 2")))
    upstream.play([stream(thought_streamed) if streamed else thought, IT_IS_4])
    body = asked(thinking={"type": "enabled", "budget_tokens": 1024})
    if streamed:
        with client.messages.stream(**body) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(**body)
    thinking, said = message.content
    assert thinking.type == "thinking" and thinking.thinking == "2 + 2"
    assert said.type == "text" and said.text == "4"
    client.messages.create(**body | {"messages": [*HELLO, {"role": "assistant", "content": message.content}]})
    assert upstream.asked[1].json["messages"][1] == {"role": "assistant", "content": "4"}


def test_an_image(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """Arrives as a data URL."""
    upstream.play([IT_IS_4])
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    client.messages.create(**asked(messages=[{"role": "user", "content": content}]))
    assert upstream.asked[0].json["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "text", "text": "What is it?"},
    ]


class Sum(BaseModel):
    """What is parsed."""

    sum: int


def test_structured_output(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """A type's schema is asked for, and the reply read into it."""
    upstream.play([whole(replies.chat(replies.choice('{"sum":4}')))])
    message = client.messages.parse(**asked(output_format=Sum))
    assert message.parsed_output == Sum(sum=4)
    asked_for = upstream.asked[0].json["response_format"]["json_schema"]
    assert asked_for["strict"] is True and asked_for["schema"]["properties"]["sum"]["type"] == "integer"


def test_a_task(client: Anthropic, upstream: ScriptedUpstream, through: Running) -> None:
    """Is recognised behind either API."""
    upstream.play([IT_IS_4])
    message = client.messages.create(**asked(model="task:arithmetic"))
    exchange = through.recorded(message.id)
    assert (exchange.task, exchange.model, message.model) == ("arithmetic", "small", "task:arithmetic")


def test_a_refused_block_is_named(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """Before anything is sent upstream."""
    upstream.play([IT_IS_4])
    document = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0\.source\.type: 'url'") as caught:
        client.messages.create(**asked(messages=[{"role": "user", "content": [document]}]))
    assert caught.value.type == "invalid_request_error"
    assert upstream.asked == []


def test_an_unknown_model(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """Where nothing passes through."""
    upstream.play([IT_IS_4])
    with client_of(gateway(passes_through=False)) as client, pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(**asked(model="claude"))
    assert caught.value.type == "not_found_error"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "type_"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_an_upstreams_refusal(
    client: Anthropic,
    upstream: ScriptedUpstream,
    status: int,
    error: type[anthropic.APIStatusError],
    type_: str,
    streamed: bool,
) -> None:
    """Is raised as Anthropic's own would be, in the upstream's words."""
    upstream.play([refused(status, retry_after="7")])
    with pytest.raises(error, match=f"refused with {status}") as caught:
        client.messages.create(**asked(stream=streamed))
    assert (caught.value.status_code, caught.value.type) == (status, type_)
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_stream_that_breaks_off(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """What came is seen, and then an error: never an end that looks complete."""
    upstream.play([stream(replies.chunks(replies.delta("It is"), replies.delta(" 4"))[:2], end="cut")])
    seen: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as caught, client.messages.stream(**asked()) as events:
        seen.extend(events.text_stream)
    assert seen == ["It is"]
    assert caught.value.type == "api_error"


def test_a_client_that_hangs_up(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """Stops the upstream."""
    upstream.play([stream(replies.chunks(replies.delta("It is"))[:2], end="hold")])
    with client.messages.stream(**asked()) as events:
        assert next(iter(events.text_stream)) == "It is"
    assert upstream.gone.wait(5)


def test_an_upstream_without_an_answer(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """Is a time-out in Anthropic's words."""
    upstream.play([silence()])
    slow = gateway(upstream="first_byte_timeout_s = 0.2")
    with client_of(slow) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**asked())
    assert (caught.value.status_code, caught.value.type) == (504, "timeout_error")
