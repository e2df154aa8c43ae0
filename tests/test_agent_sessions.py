"""Sessions of thirty tool calls as Claude Code and Codex send them, before each kind of upstream.

The upstream gets what the client sent, but for the rules; the client's context meter shows what the upstream counted;
the prompt cache keeps hitting; and a full context is said in the words on which each client compacts. The programs
themselves are run by ``tests/conformance/test_agents.py``.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import pytest

from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.rules.live import refresh
from optimizer.demo.loopback import loopback_server
from tests import fakes
from tests.agents.model import DONE, OUTPUT, SUMMARY, AgentModel, Wire
from tests.agents.shapes import Agent, ClaudeCode, Codex
from tests.agents.streams import events, insertion, metered, put_together
from tests.conformance import stage as stages
from tests.conformance.stage import Running
from tests.conformance.upstream import Asked, ScriptedUpstream

CALLS = 30
RULE = "Always handle the doubled part first."
KINDS: Mapping[str, tuple[str, tuple[Wire, ...]]] = {
    "chat only": ("openai", ("chat",)),
    "responses": ("openai", ("responses", "chat")),
    "anthropic": ("anthropic", ("messages",)),
}
AGENTS: Mapping[str, Callable[..., Agent]] = {"claude code": ClaudeCode, "codex": Codex}
OWN = {("claude code", "anthropic"), ("codex", "responses")}
"""Both sides speak the same."""
EACH_AGENT = pytest.mark.parametrize("agent", AGENTS)
EACH_KIND = pytest.mark.parametrize("kind", KINDS)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
TAUGHT = pytest.mark.parametrize("taught", [False, True], ids=["no rules", "rules"])


def teach(gateway: Running, scratchpad: Scratchpad = "none") -> None:
    store = gateway.services.store
    rule_set = RuleSet(task="arithmetic", scratchpad=scratchpad, rules=(Rule(text=RULE),))
    store.activate(Activation(task="arithmetic", version=store.publish(rule_set).version, created=0, by="test"))
    refresh(store, gateway.services.rules)


@contextlib.asynccontextmanager
async def before(kind: str, model: AgentModel) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A gateway before a model of a kind."""
    upstream = ScriptedUpstream()
    upstream.play([model])
    text = stages.config("{url}", kind=KINDS[kind][0])
    async with (
        loopback_server(upstream) as url,
        stages.running(text.replace("{url}", url)) as gateway,
        fakes.loopback_client(gateway.url.removesuffix("/v1")) as client,
    ):
        yield gateway, client


async def turn(client: httpx.AsyncClient, agent: Agent, *, stream: bool) -> tuple[bytes, dict[str, Any]]:
    body = agent.request(stream=stream)
    headers = {"content-type": "application/json", **agent.headers}
    reply = await client.post(agent.path, content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return body, put_together(reply.content)


async def session(client: httpx.AsyncClient, agent: Agent, *, stream: bool) -> list[tuple[bytes, dict[str, Any]]]:
    """Every request of a session, with its reply."""
    turns = [await turn(client, agent, stream=stream)]
    while agent.take(turns[-1][1]):
        turns.append(await turn(client, agent, stream=stream))
    return turns


@TAUGHT
@STREAMED
@EACH_KIND
@EACH_AGENT
async def test_thirty_calls(agent: str, kind: str, stream: bool, taught: bool) -> None:
    """The session ends as directly, with the upstream's own counts, nine tenths of them read from its cache."""
    model = AgentModel(*KINDS[kind][1], calls=CALLS)
    async with before(kind, model) as (gateway, client):
        if taught:
            teach(gateway)
        turns = await session(client, AGENTS[agent](), stream=stream)
    assert len(turns) == CALLS + 1 and DONE in json.dumps(turns[-1][1])
    assert [metered(reply["usage"]) for _, reply in turns] == [(c.prompt, c.read, OUTPUT) for c in model.counts]
    for (sent, _), asked in zip(turns, model.asked, strict=True):
        assert_only_rules_came_in(sent, asked, own=(agent, kind) in OWN, rule=RULE if taught else "")
    assert sum(c.read for c in model.counts) / sum(c.prompt for c in model.counts) > 0.9


def assert_only_rules_came_in(sent: bytes, asked: Asked, *, own: bool, rule: str) -> None:
    """In the client's own words, byte for byte; where they are translated, in the instructions."""
    if own:
        added = insertion(sent, asked.body.replace(b'"tiny-1b"', b'"gpt-4o-mini"', 1))
        assert (rule in added.decode()) if rule else added == b""
        return
    body = asked.json
    instructions = json.dumps(body["system"] if "system" in body else body["messages"][0])
    assert instructions.count(RULE) == asked.body.decode().count(RULE) == (1 if rule else 0)
    assert "client_metadata" not in body and "billing" not in instructions


@EACH_KIND
@EACH_AGENT
async def test_a_full_context_is_said_in_the_clients_words(agent: str, kind: str) -> None:
    """Claude Code reads the message, Codex the code; whatever words the upstream has."""
    async with before(kind, AgentModel(*KINDS[kind][1], context=10)) as (_, client):
        made = AGENTS[agent]()
        reply = await client.post(made.path, content=made.request(stream=True), headers=dict(made.headers))
    error = reply.json()["error"]
    assert reply.status_code == 400
    if agent == "claude code":
        assert error["message"].startswith("prompt is too long")
    else:
        assert error["code"] == "context_length_exceeded"


@pytest.mark.parametrize("scratchpad", ["none", "tags", "two_pass"])
@EACH_KIND
@EACH_AGENT
async def test_a_summary_is_the_summary_alone(agent: str, kind: str, scratchpad: Scratchpad) -> None:
    """In every form of rules: it takes the place of the history."""
    model = AgentModel(*KINDS[kind][1], calls=3)
    async with before(kind, model) as (gateway, client):
        teach(gateway, scratchpad)
        made = AGENTS[agent]()
        await session(client, made, stream=True)
        reply = await client.post(made.path, content=made.compaction(), headers=dict(made.headers))
    message = put_together(reply.content)
    parts = message["content"] if agent == "claude code" else message["output"][-1]["content"]
    assert [part["text"] for part in parts if "text" in part] == [SUMMARY] and model.summaries >= 1


@EACH_KIND
async def test_a_meter_counts_the_rules_before_the_upstream_does(kind: str) -> None:
    """In the first event of a stream and in a count of tokens: they fill the context, too."""
    counted = {}
    async with before(kind, AgentModel(*KINDS[kind][1], calls=0)) as (gateway, client):
        body = {**json.loads(ClaudeCode().request(stream=True)), "tools": []}
        for rules in (False, True):
            if rules:
                teach(gateway)
            reply = await client.post("/v1/messages", json=body)
            start = next(events(reply.content))
            counts = await client.post("/v1/messages/count_tokens", json=body)
            counted[rules] = (start["message"]["usage"]["input_tokens"], counts.json().get("input_tokens"))
    if kind != "anthropic":  # there the upstream counts both
        assert counted[True][0] == counted[True][1] > counted[False][0] == counted[False][1]


@EACH_KIND
@EACH_AGENT
async def test_rules_stand_in_front_of_what_varies(agent: str, kind: str) -> None:
    """Another conversation under the same version finds tools, instructions and rules in the cache."""
    model = AgentModel(*KINDS[kind][1], calls=0)
    async with before(kind, model) as (gateway, client):
        teach(gateway)
        for name in ("ann", "bob"):
            await turn(client, AGENTS[agent](f"Do the steps of {name}."), stream=True)
    first, second = model.counts
    assert second.read > 0.8 * first.prompt
