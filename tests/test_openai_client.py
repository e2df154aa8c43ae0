"""The official client against the gateway: what works against OpenAI works here, errors included."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from gateway.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tests.fakes import Answer, FakeReply, FakeUpstream, Served, events, served

MESSAGES: Any = [{"role": "user", "content": "What is 2 + 2?"}]
EVENT_STREAM = {"content-type": "text/event-stream"}


@contextlib.asynccontextmanager
async def client(answer: Answer, seen: list[dict[str, Any]] | None = None) -> AsyncIterator[tuple[AsyncOpenAI, Served]]:
    """The official client, which retries nothing, and the gateway that it speaks to."""

    def script(body: dict[str, Any]) -> Answer:
        if seen is not None:
            seen.append(body)
        return answer

    async with (
        served(FakeUpstream(script)) as gateway,
        DefaultAsyncHttpxClient(trust_env=False) as http,
        AsyncOpenAI(base_url=gateway.url + "/v1", api_key="any", max_retries=0, http_client=http) as made,
    ):
        yield made, gateway


async def test_a_whole_reply() -> None:
    """Text, usage, id and the gateway's headers arrive through the client's own types."""
    async with client("It is 4") as (ask, gateway):
        raw = await ask.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=MESSAGES)
        exchange = await gateway.recorded(raw.headers["x-request-id"])
    reply = raw.parse()
    assert reply.choices[0].message.content == "It is 4" == exchange.reply
    assert reply.usage is not None and (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 3)
    assert reply.id == reply._request_id == exchange.id
    names = ("task", "rules", "arm", "model")
    assert [raw.headers[f"x-preceptor-{name}"] for name in names] == ["arithmetic", "none", "weak", "small"]
    assert float(raw.headers["x-preceptor-overhead-ms"]) >= 0


async def test_a_streamed_reply() -> None:
    """The client iterates to the end and gets the usage that it asked for."""
    async with client("It is 4") as (ask, _):
        stream = await ask.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "It is 4"
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 3


async def test_parameters_of_tomorrow_pass_through() -> None:
    """What the client sends beyond what the gateway knows arrives."""
    seen: list[dict[str, Any]] = []
    extra = {"from_tomorrow": {"deep": [1, 2.5, None]}}
    async with client("4", seen) as (ask, _):
        await ask.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, temperature=0.5, store=True, extra_body=extra
        )
    assert (seen[0]["temperature"], seen[0]["store"], seen[0]["from_tomorrow"]) == (0.5, True, extra["from_tomorrow"])


def refusal(status: int) -> FakeReply:
    error = {"message": "no", "type": "whatever", "param": None, "code": "because"}
    return FakeReply(status, [json.dumps({"error": error}).encode()], {"retry-after": "7"})


RAISED: dict[str, tuple[Answer, type[openai.APIStatusError], int]] = {
    "400": (refusal(400), openai.BadRequestError, 400),
    "401, which is about the gateway's own key": (refusal(401), openai.AuthenticationError, 401),
    "403, which is about the gateway's own key": (refusal(403), openai.PermissionDeniedError, 403),
    "404": (refusal(404), openai.NotFoundError, 404),
    "409": (refusal(409), openai.ConflictError, 409),
    "422": (refusal(422), openai.UnprocessableEntityError, 422),
    "429": (refusal(429), openai.RateLimitError, 429),
    "500": (refusal(500), openai.InternalServerError, 500),
    "503": (refusal(503), openai.InternalServerError, 503),
    "unreachable": (UpstreamUnreachable("gone"), openai.InternalServerError, 502),
    "too slow": (UpstreamTimeout("slow"), openai.InternalServerError, 504),
    "no completion": (FakeReply(200, [b"<html>"], {}), openai.InternalServerError, 502),
    "a redirect": (FakeReply(302, [], {"location": "/"}), openai.InternalServerError, 502),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", RAISED)
async def test_the_client_raises_what_it_would_raise_against_openai(case: str, stream: bool) -> None:
    """Each failure is the client's own exception class, with status, request id and a body that it understands."""
    answer, expected, status = RAISED[case]
    async with client(answer) as (ask, gateway):
        with pytest.raises(expected) as raised:
            await ask.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=stream)
        error = raised.value
        assert error.request_id is not None
        exchange = await gateway.recorded(error.request_id)
    assert (error.status_code, exchange.http_status, exchange.status) == (status, status, "error")
    assert isinstance(error.body, dict) and set(error.body) >= {"message", "type", "param", "code"}
    if isinstance(answer, FakeReply) and status >= 400 and "headers" not in case and answer.headers.get("retry-after"):
        assert error.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("model", "messages", "expected"),
    [
        ("nobody", MESSAGES, openai.NotFoundError),
        ("gpt-4o-mini", [], openai.BadRequestError),
        ("gpt-4o-mini", "hi", openai.BadRequestError),
    ],
)
async def test_a_mistake_of_the_caller_is_its_own_exception(
    model: str, messages: Any, expected: type[Exception]
) -> None:
    """The gateway's own refusals are classed as OpenAI's are."""
    async with client("4") as (ask, _):
        with pytest.raises(expected):
            await ask.chat.completions.create(model=model, messages=messages)


async def test_a_stream_that_breaks_raises_in_the_client() -> None:
    """A failure in the middle is an exception while iterating, never a short reply that looks whole."""
    broken = FakeReply(200, [*events(["It "])[:2], UpstreamBroken("cut")], EVENT_STREAM)
    async with client(broken) as (ask, _):
        stream = await ask.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        text = ""
        with pytest.raises(openai.APIError, match="cut"):
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
    assert text == "It "


async def test_models_are_listed_and_retrieved() -> None:
    """``models.list`` and ``models.retrieve`` know every name that may be asked for."""
    async with client("4") as (ask, _):
        names = [model.id async for model in ask.models.list()]
        assert names == ["small", "large", "gpt-4o-mini", "task:arithmetic"]
        for name in names:
            assert (await ask.models.retrieve(name)).id == name
        with pytest.raises(openai.NotFoundError):
            await ask.models.retrieve("nobody")
