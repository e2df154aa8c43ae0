"""The official clients against a real llama.cpp server behind the gateway.

The model talks nonsense and calls no tools; what counts is the protocol.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance import stage as stages
from tests.conformance.clients import Client, Observation
from tests.conformance.scenarios import ADD, ASK, TWO_CALLS, Scenario, calling, chatting
from tests.conformance.stage import Running, Stage

pytestmark = pytest.mark.model

CONFIG = """
[server]
port = 0
default_upstream = "local"
[upstreams.local]
kind = "llamacpp"
threads = 2
parallel = 2
context = 1024
[models.small]
upstream = "local"
model = "smollm2-135m"
[tasks.arithmetic]
match = { model = "gpt-4o-mini" }
weak = "small"
strong = "small"
[optimizer]
enabled = false
"""
TOKENS = 6
SHORT: Any = {"max_tokens": TOKENS, "temperature": 0, "seed": 1}


@pytest.fixture(scope="module")
def served(stage: Stage) -> Running:
    """A gateway over the embedded server."""
    return stage.open(stages.running(CONFIG))


@pytest.fixture
def ask(client: Client, served: Running) -> Callable[[Scenario], Observation]:
    """What a client sees of a scenario."""

    def asked(scenario: Scenario) -> Observation:
        body = {**scenario.body, "model": "gpt-4o-mini" if scenario.method.startswith("chat") else "small"}
        return client.perform({**scenario.action, "body": body, "timeout_s": 120.0}, served.url)

    return asked


Ask = Callable[[Scenario], Observation]


def text_of(events: Any) -> str:
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in events if each["choices"])


def test_a_whole_reply(ask: Ask, served: Running) -> None:
    """Text, usage and how it ended, under the exchange's id."""
    seen = ask(chatting(**SHORT))
    assert seen["error"] is None
    (choice,) = seen["value"]["choices"]
    exchange = served.recorded(seen["value"]["id"])
    assert exchange.reply == choice["message"]["content"] != ""
    assert (choice["finish_reason"], exchange.finish_reason) == ("length", "length")
    assert seen["value"]["usage"]["completion_tokens"] == exchange.usage.output_tokens == TOKENS


def test_a_streamed_reply_is_the_whole_one(ask: Ask) -> None:
    """The same greedy text in pieces; usage only for who asks."""
    whole = ask(chatting(**SHORT))["value"]["choices"][0]["message"]["content"]
    plain = ask(chatting(**SHORT, stream=True, how="events"))["value"]
    counted = ask(chatting(**SHORT, stream=True, stream_options={"include_usage": True}, how="events"))["value"]
    assert text_of(plain) == text_of(counted) == whole
    assert not any(each.get("usage") for each in plain)
    assert counted[-1]["usage"]["completion_tokens"] == TOKENS


def test_a_schema_is_kept(ask: Ask) -> None:
    """The reply is what the schema says, whatever the model would rather say."""
    schema = {
        "type": "object",
        "properties": {"sum": {"enum": [4]}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    text = {"type": "json_schema", "json_schema": {"name": "sum", "strict": True, "schema": schema}}
    (choice,) = ask(chatting(response_format=text, max_tokens=60, temperature=0))["value"]["choices"]
    assert json.loads(choice["message"]["content"]) == {"sum": 4}


def test_tools_are_taken(ask: Ask) -> None:
    """With their schema and a turn that used one, whole and streamed."""
    turns = [ASK, {"role": "assistant", "content": None, "tool_calls": TWO_CALLS[:1]}]
    asked: Any = {
        "messages": [*turns, {"role": "tool", "tool_call_id": "call_0", "content": "4"}],
        "tools": [ADD],
        **SHORT,
    }
    whole = ask(chatting(**asked))
    events = ask(chatting(**asked, stream=True, how="events"))
    assert (whole["error"], events["error"]) == (None, None)
    assert whole["value"]["choices"][0]["message"]["role"] == "assistant"
    assert events["value"][-1]["choices"][0]["finish_reason"] == "length"


def test_log_probabilities_arrive(ask: Ask) -> None:
    """One entry a token, with the asked number of others."""
    seen = ask(chatting(**SHORT, logprobs=True, top_logprobs=2))
    content = seen["value"]["choices"][0]["logprobs"]["content"]
    assert len(content) == TOKENS and all(len(each["top_logprobs"]) == 2 for each in content)


def test_a_stop_sequence_ends_the_reply(ask: Ask) -> None:
    """A text that the model would have said, so that it is known to be cut."""
    whole = ask(chatting(**SHORT))["value"]["choices"][0]["message"]["content"]
    stop = whole[2:4]
    cut = ask(chatting(**SHORT, stop=[stop]))["value"]["choices"][0]
    assert (cut["message"]["content"], cut["finish_reason"]) == (whole[: whole.index(stop)], "stop")


def test_completions(ask: Ask) -> None:
    """The legacy endpoint, whole and streamed."""
    whole = ask(calling("completions.create", prompt="Once upon a", **SHORT, shows=()))
    pieces = ask(calling("completions.create", prompt="Once upon a", **SHORT, stream=True, how="events", shows=()))
    assert whole["error"] is None
    text = whole["value"]["choices"][0]["text"]
    assert text == "".join(each["choices"][0]["text"] for each in pieces["value"] if each["choices"]) != ""


def test_responses(ask: Ask) -> None:
    """Whole, and event by event."""
    asked: Any = {
        "input": "Hi",
        "instructions": "Be brief.",
        "max_output_tokens": TOKENS,
        "temperature": 0,
        "shows": (),
    }
    whole = ask(calling("responses.create", **asked))
    events = ask(calling("responses.create", **asked, stream=True, how="events"))
    assert (whole["error"], events["error"]) == (None, None)
    text = "".join(part["text"] for item in whole["value"]["output"] for part in item["content"])
    deltas = (each["delta"] for each in events["value"] if each["type"] == "response.output_text.delta")
    assert "".join(deltas) == text != ""
    assert events["value"][-1]["type"] == "response.completed"


def test_what_it_refuses_is_the_client_s_own_exception(ask: Ask) -> None:
    """A request that cannot fit, a setting that is none, and embeddings, which this server is not started for."""
    long = ask(chatting(messages=[{**ASK, "content": "long " * 5000}]))["error"]
    wrong = ask(chatting(max_tokens="many"))["error"]
    vectors = ask(calling("embeddings.create", input="x", shows=()))["error"]
    assert (long["name"], wrong["name"]) == ("BadRequestError", "BadRequestError")
    assert vectors["name"] in {"InternalServerError", "BadRequestError"}
    for error in (long, wrong, vectors):
        assert set(error["body"]) >= {"message", "type", "param", "code"}
