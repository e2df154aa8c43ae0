"""What the gateway says itself reaches every official client as OpenAI's own words would."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.conformance import replies
from tests.conformance.clients import Client, Observation
from tests.conformance.scenarios import ASK, CHAT, FOUR, IT_IS_4, Scenario, calling, chatting
from tests.conformance.stage import Running
from tests.conformance.upstream import Answer, Answers, ScriptedUpstream, event, refused, silence, stream, whole
from tests.fakes import free_port

Gateway = Callable[..., Running]

UNSEEN: Answers = [whole(FOUR)]


def seen_by(client: Client, url: str, scenario: Scenario, model: str = "gpt-4o-mini") -> Observation:
    """What a client sees of a scenario under that model's name."""
    body = {**scenario.body, "model": model} if "model" in scenario.body else scenario.body
    return client.perform({**scenario.action, "body": body}, url)


def chat_text(seen: Observation) -> str:
    """What was said in the events that came."""
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in seen["value"] if each["choices"])


def test_a_reply_has_the_id_of_its_exchange(client: Client, upstream: ScriptedUpstream, through: Running) -> None:
    """So feedback needs nothing else; the record says what the client saw."""
    upstream.play(CHAT["whole"].answers)
    seen = seen_by(client, through.url, CHAT["whole"])
    exchange = through.recorded(seen["request_id"])
    assert seen["value"]["id"] == exchange.id
    assert (exchange.reply, exchange.task, exchange.model, exchange.status) == ("It is 4", "arithmetic", "small", "ok")
    assert (exchange.usage.prompt_tokens, exchange.usage.output_tokens) == (7, 3)


def test_a_stream_has_the_id_of_its_exchange(client: Client, upstream: ScriptedUpstream, through: Running) -> None:
    """In every event; usage is recorded although the client did not ask for it."""
    upstream.play(CHAT["streamed"].answers)
    seen = seen_by(client, through.url, CHAT["streamed"])
    (exchange_id,) = {event["id"] for event in seen["value"]}
    exchange = through.recorded(exchange_id)
    assert (exchange.reply, exchange.status, exchange.stream) == ("It is 4", "ok", True)
    assert exchange.usage.output_tokens == 3


def test_models_are_the_names_that_may_be_asked_for(
    client: Client, upstream: ScriptedUpstream, through: Running
) -> None:
    """Configured models, names that tasks are recognised by, and tasks; each can be looked up."""
    listed = seen_by(client, through.url, calling("models.list", shows=(), how="list"))
    names = [model["id"] for model in listed["value"]]
    assert names == ["small", "large", "gpt-4o-mini", "task:arithmetic"]
    for name in names:
        assert seen_by(client, through.url, calling("models.retrieve", shows=(), args=[name]))["value"]["id"] == name
    upstream.play([refused(404, code="model_not_found")])
    missing = seen_by(client, through.url, calling("models.retrieve", shows=(), args=["nobody"]))["error"]
    assert (missing["name"], missing["code"]) == ("NotFoundError", "model_not_found")
    assert len(upstream.asked) == 1, "any other name is the default upstream's"


def test_an_unknown_model_passes_through_untouched(
    client: Client, upstream: ScriptedUpstream, through: Running
) -> None:
    """To the default upstream, which is the one to say that it does not have it."""
    scenario = chatting(refused(404, code="model_not_found", param="model"), model="nobody")
    upstream.play(scenario.answers)
    error = seen_by(client, through.url, scenario, "nobody")["error"]
    assert (error["name"], error["code"], error["body"]["message"]) == (
        "NotFoundError",
        "model_not_found",
        "refused with 404",
    )
    assert upstream.asked[0].json == {"model": "nobody", "messages": [ASK]}


MISTAKES: dict[str, tuple[Scenario, str, str | None]] = {
    "an unknown model": (chatting(), "NotFoundError", "model_not_found"),
    "no messages": (chatting(messages=[]), "BadRequestError", None),
    "messages that are none": (chatting(messages="hi"), "BadRequestError", None),
    "a stream that is neither": (chatting(stream="yes"), "BadRequestError", None),
    "an endpoint that is not here": (
        calling("moderations.create", shows=(), input="x"), "NotFoundError", "unknown_url",
    ),
    "a file for an endpoint that is not here": (
        calling("files.create", shows=(), file={"$file": ["a", "b", "text/plain"]}, purpose="batch"),
        "NotFoundError", "unknown_url",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_of_the_caller_is_the_client_s_own_exception(
    case: str, client: Client, upstream: ScriptedUpstream, gateway: Gateway
) -> None:
    """With all four keys of OpenAI's errors, and nothing is sent upstream."""
    scenario, name, code = MISTAKES[case]
    upstream.play(UNSEEN)
    model = "nobody" if "unknown model" in case else "small"
    error = seen_by(client, gateway(passes_through=False).url, scenario, model)["error"]
    assert (error["name"], error["code"]) == (name, code)
    assert set(error["body"]) == {"message", "type", "param", "code"}
    assert upstream.asked == []


TROUBLES: Mapping[str, tuple[Answer, int, str]] = {
    "no completion": (Answer([b"<html>"], headers={"content-type": "text/html"}), 502, "upstream_garbage"),
    "a redirect": (Answer([], 302, {"location": "/v1/elsewhere"}), 502, "upstream_garbage"),
    "an error page": (Answer([b"<html>"], 502, {"content-type": "text/html"}), 502, ""),
    "a connection that is cut at once": (Answer([], end="cut", silent=True), 502, "upstream_unreachable"),
    "a body that is cut": (Answer([b'{"id":', b'"x"'], chunked=True, end="cut"), 502, "upstream_broken"),
    "silence": (silence(), 504, "upstream_timeout"),
}


@pytest.mark.parametrize("how", ["whole", "events"])
@pytest.mark.parametrize("case", TROUBLES)
def test_a_failing_upstream_is_an_internal_server_error(
    case: str, how: Any, client: Client, upstream: ScriptedUpstream, gateway: Gateway
) -> None:
    """502, or 504 if it was too slow, never a connection that breaks without a word; recorded as an error."""
    answer, status, code = TROUBLES[case]
    streamed: Any = {"stream": True} if how == "events" else {}
    upstream.play([answer])
    running = gateway(upstream="first_byte_timeout_s = 0.2" if answer.silent and status == 504 else "")
    error = seen_by(client, running.url, chatting(how=how, **streamed))["error"]
    assert (error["name"], error["status"]) == ("InternalServerError", status)
    assert (error["code"] or "").startswith(code if how == "whole" or case != "a body that is cut" else "upstream_")
    assert set(error["body"]) == {"message", "type", "param", "code"}
    exchange = running.recorded(error["request_id"])
    assert (exchange.status, exchange.http_status) == ("error", status)


def test_an_upstream_that_is_not_there_is_an_internal_server_error(client: Client, gateway: Gateway) -> None:
    """Refused connections are said in words."""
    running = gateway(f"http://127.0.0.1:{NOBODY}/v1")
    error = seen_by(client, running.url, chatting())["error"]
    assert (error["name"], error["status"], error["code"]) == ("InternalServerError", 502, "upstream_unreachable")


NOBODY = free_port()


def cut_stream() -> Answer:
    """A stream whose connection breaks after two words."""
    return stream(replies.chunks(*IT_IS_4)[:3], end="cut")


def test_a_stream_that_is_cut_raises_after_what_came_before(
    client: Client, upstream: ScriptedUpstream, through: Running
) -> None:
    """The text before it was delivered, the failure is an API error in words, and the record says so."""
    upstream.play([cut_stream()])
    seen = seen_by(client, through.url, chatting(how="events", stream=True))
    assert chat_text(seen) == "It is "
    assert (seen["error"]["name"], seen["error"]["code"]) == ("APIError", "upstream_broken")
    exchange = through.recorded(seen["value"][0]["id"])
    assert (exchange.status, exchange.error, exchange.reply) == ("error", "upstream_broken", "It is ")


def test_a_stream_that_falls_silent_raises_after_what_came_before(
    client: Client, upstream: ScriptedUpstream, gateway: Gateway
) -> None:
    """The time between two events is bounded too, and the upstream is told to stop."""
    upstream.play([stream(replies.chunks(*IT_IS_4)[:3], end="hold")])
    seen = seen_by(client, gateway(upstream="idle_timeout_s = 1").url, chatting(how="events", stream=True))
    assert chat_text(seen) == "It is "
    assert (seen["error"]["name"], seen["error"]["code"]) == ("APIError", "upstream_timeout")
    assert upstream.gone.wait(5)


def test_retries_of_gateway_and_client_do_not_multiply(
    client: Client, upstream: ScriptedUpstream, gateway: Gateway
) -> None:
    """Three attempts of the gateway are all, although the client would make three of its own."""
    running = gateway(retries=2)
    upstream.play([refused(503, retry_after_ms="10")])
    error = seen_by(client, running.url, chatting(retries=2))["error"]
    assert (error["name"], error["status"], len(upstream.asked)) == ("InternalServerError", 503, 3)


def test_the_gateway_s_own_retries_are_not_seen(client: Client, upstream: ScriptedUpstream, gateway: Gateway) -> None:
    """A client that makes no retries gets a reply from a server that needed three attempts."""
    running = gateway(retries=2)
    upstream.play([refused(429, retry_after_ms="10"), Answer([], end="cut", silent=True), *CHAT["streamed"].answers])
    seen = seen_by(client, running.url, CHAT["streamed"])
    assert (chat_text(seen), seen["error"], len(upstream.asked)) == ("It is 4", None, 3)


def test_a_long_retry_after_is_the_client_s_to_wait_for(
    client: Client, upstream: ScriptedUpstream, gateway: Gateway
) -> None:
    """Longer than the cap: it is handed on at once, with the time to wait."""
    running = gateway(retries=2)
    upstream.play([refused(429, retry_after="60")])
    error = seen_by(client, running.url, chatting())["error"]
    assert (error["name"], error["retry_after"], len(upstream.asked)) == ("RateLimitError", "60", 1)


def test_no_retry_repeats_what_may_have_been_done(client: Client, upstream: ScriptedUpstream, gateway: Gateway) -> None:
    """A file that may have been taken is not sent a second time behind the caller's back."""
    running = gateway(retries=2)
    upstream.play([refused(500)])
    file = calling("files.create", shows=(), file={"$file": ["a", "b", "text/plain"]}, purpose="batch")
    error = seen_by(client, running.url, file)["error"]
    assert (error["name"], error["status"], len(upstream.asked)) == ("InternalServerError", 500, 1)


def test_a_client_s_time_out_ends_the_work(client: Client, upstream: ScriptedUpstream, through: Running) -> None:
    """Before the first byte: the client raises its own exception, the upstream sees the close."""
    upstream.play([silence()])
    error = seen_by(client, through.url, chatting(timeout_s=1))["error"]
    assert error["name"] in {"APITimeoutError", "APIConnectionTimeoutError"}
    assert upstream.gone.wait(5)
    assert len(upstream.asked) == 1


FIRST: dict[str, Scenario] = {
    "chat": chatting(stream(replies.chunks(*IT_IS_4)[:3], end="hold"), how="first", stream=True),
    "completions": calling(
        "completions.create",
        stream([event(replies.text("It", finish=None))], end="hold"),
        model="$model", prompt="x", stream=True, how="first", shows=(),
    ),
    "responses": calling(
        "responses.create",
        stream(replies.response_events("It ")[:5], end="hold"),
        model="$model", input="x", stream=True, how="first", shows=(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("endpoint", FIRST)
def test_a_client_that_stops_reading_ends_the_work(
    endpoint: str, client: Client, upstream: ScriptedUpstream, through: Running
) -> None:
    """After the first event: the upstream sees the close within a second, and the exchange is abandoned."""
    upstream.play(FIRST[endpoint].answers)
    seen = seen_by(client, through.url, FIRST[endpoint], "small")
    assert len(seen["value"]) == 1
    assert upstream.gone.wait(5)
