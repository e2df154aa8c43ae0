"""Examples and worksheets on the wire: every endpoint that has room for them, streamed and not, and two tenants."""

import hashlib
import json
from typing import Any

import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.store.memory import MemoryStore
from gateway.teaching import DecisionRule, Example, Worksheet
from tests.fakes import CONFIG, Answer, FakeReply, FakeUpstream, asked, served

SHEET = Worksheet(
    schema={"properties": {"days": {"type": "integer"}}, "required": ["days"]},
    decisions=(DecisionRule(when="days > 30", result="refuse"), DecisionRule(when="", result="accept")),
)
FORM = "Fill in this form"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
KEYS = {name: f"sk-preceptor-{name}-of-a-test" for name in ("shop", "bank")}
SECTIONS = "".join(
    f'[keys.{name}]\nhash = "sha256:{hashlib.sha256(key.encode()).hexdigest()}"\n' for name, key in KEYS.items()
)


def taught(**parts: Any) -> MemoryStore:
    """A store with a live version of these parts."""
    store = MemoryStore()
    version = store.publish(RuleSet(task="arithmetic", **parts)).version
    store.activate(Activation(task="arithmetic", version=version, created=0, by="test"))
    return store


def clerk(filled: str) -> FakeUpstream:
    """A model that fills in the form in this way and words the decision it is shown."""

    def answer(body: dict[str, Any]) -> Answer:
        text = json.dumps(body)
        if FORM in text:
            return _response(filled) if "input" in body else filled
        reply = "We refuse." if "answer is: refuse" in text else "No idea."
        return _response(reply) if "input" in body else reply

    return FakeUpstream(answer)


def _response(text: str) -> FakeReply:
    body = {
        "id": "resp_up", "object": "response", "status": "completed", "usage": {"input_tokens": 7, "output_tokens": 3},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}],
    }  # fmt: skip
    return FakeReply(200, [json.dumps(body).encode()], {"content-type": "application/json"})


@STREAMED
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_worksheet_decides_and_the_model_words_the_decision(path: str, stream: bool) -> None:
    """The caller receives the worded reply alone, never the form; the usage counts both calls."""
    upstream = clerk('{"days": 40}')
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream and "chat" in path else {}
    async with served(upstream, store=taught(worksheet=SHEET, rules=(Rule(text="Be kind."),))) as gateway:
        reply = await gateway.client.post(path, json=asked(stream=stream, max_tokens=99, **options))
        exchange = await gateway.exchange(reply)
    assert reply.status_code == 200 and "days" not in reply.text and exchange.reply == "We refuse."
    assert exchange.usage.prompt_tokens == 14 and exchange.usage.output_tokens == 6
    first, second = upstream.bodies
    assert "response_format" in first and not first.get("stream")
    assert second["max_tokens"] == 99 and "Be kind." in json.dumps(second)
    assert "x-preceptor-why" not in reply.headers


async def test_a_worksheet_leaves_no_trace_in_stored_responses() -> None:
    """The form is not stored, and the decision joins the instructions, not the caller's question."""
    upstream = clerk('{"days": 40}')
    async with served(upstream, store=taught(worksheet=SHEET)) as gateway:
        reply = await gateway.client.post("/v1/responses", json={"model": "gpt-4o-mini", "input": "Take it back?"})
    assert "We refuse." in reply.text and reply.json()["usage"]["output_tokens"] == 6
    first, second = upstream.bodies
    assert first["store"] is False and first["text"]["format"]["type"] == "json_schema"
    assert second["input"] == "Take it back?" and "answer is: refuse" in second["instructions"]


@STREAMED
async def test_a_worksheet_that_is_not_filled_in_is_counted_and_shown(stream: bool) -> None:
    """The caller's request goes out as it came, and the header and a count say so."""
    upstream = clerk("I cannot fill in forms.")
    async with served(upstream, store=taught(worksheet=SHEET, rules=(Rule(text="Be kind."),))) as gateway:
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream))
        await gateway.exchange(reply)
        metrics = gateway.services.telemetry.text().decode()
    assert upstream.bodies[1]["messages"] == asked()["messages"]
    assert reply.headers["x-preceptor-why"] == "worksheet"
    assert 'preceptor_rules_left_out_total{task="arithmetic",why="worksheet"} 1.0' in metrics


@pytest.mark.parametrize("mode", ["nearest", "fixed"])
async def test_two_tenants_never_see_each_others_examples(mode: Any) -> None:
    """Whatever the form of the request: only shared examples and those of the same key and end user go upstream."""
    examples = (
        Example(question="What is 1 + 1?", answer="SHARED", shared=True),
        Example(question="What is 2 + 2?", answer="SHOP-ANN", key="shop", tenant=_tenant("ann")),
        Example(question="What is 2 + 2?", answer="SHOP-BOB", key="shop", tenant=_tenant("bob")),
        Example(question="What is 2 + 2?", answer="BANK-ANN", key="bank", tenant=_tenant("ann")),
    )
    upstream = FakeUpstream(lambda body: "4")
    seen = {}
    async with served(upstream, CONFIG + SECTIONS, taught(examples=examples, examples_mode=mode)) as gateway:
        for key, user in (("shop", "ann"), ("shop", "bob"), ("bank", "ann"), ("bank", "bob")):
            headers = {"authorization": f"Bearer {KEYS[key]}"}
            reply = await gateway.client.post("/v1/chat/completions", json=asked(user=user), headers=headers)
            assert reply.status_code == 200
            answers = [turn["content"] for turn in upstream.bodies[-1]["messages"] if turn["role"] == "assistant"]
            seen[key, user] = sorted(answers)
    assert seen == {
        ("shop", "ann"): ["SHARED", "SHOP-ANN"],
        ("shop", "bob"): ["SHARED", "SHOP-BOB"],
        ("bank", "ann"): ["BANK-ANN", "SHARED"],
        ("bank", "bob"): ["SHARED"],
    }


def _tenant(user: str) -> str:
    return hashlib.sha256(f"tenant\n{user}".encode()).hexdigest()[:16]
