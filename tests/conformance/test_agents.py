"""Claude Code and Codex themselves, with thirty tool calls, through the gateway before each kind of upstream.

``tests/test_agent_sessions.py`` has the same by their recorded requests, and more of it.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.rules.live import refresh
from optimizer.demo.loopback import loopback_server
from tests.agents.model import DONE, OUTPUT, AgentModel
from tests.agents.streams import metered, put_together
from tests.conformance import stage as stages
from tests.conformance.agent_clients import Tap, claude_code, codex, tapped
from tests.conformance.stage import Stage
from tests.conformance.upstream import ScriptedUpstream
from tests.test_agent_sessions import CALLS, KINDS, OWN, RULE, assert_only_rules_came_in

pytestmark = pytest.mark.node

AGENTS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "claude code": (claude_code, "POST /v1/messages"),
    "codex": (codex, "POST /v1/responses"),
}
EACH_AGENT = pytest.mark.parametrize("agent", AGENTS)
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@contextlib.asynccontextmanager
async def before(kind: str, model: AgentModel, *, taught: bool = False) -> AsyncIterator[tuple[str, Tap]]:
    """A tap before a gateway before a model; yields the tap's base URL."""
    upstream = ScriptedUpstream()
    upstream.play([model])
    text = stages.config("{url}", kind=KINDS[kind][0])
    async with (
        loopback_server(upstream) as direct,
        stages.running(text.replace("{url}", direct)) as gateway,
        tapped(gateway.url) as (url, tap),
    ):
        if taught:
            store = gateway.services.store
            store.publish(RuleSet(task="arithmetic", rules=(Rule(text=RULE),)))
            store.activate(Activation(task="arithmetic", version=1, created=0, by="test"))
            refresh(store, gateway.services.rules)
        yield url, tap


@pytest.mark.parametrize("taught", [False, True], ids=["no rules", "rules"])
@EACH_KIND
@EACH_AGENT
def test_a_session_of_thirty_calls(agent: str, kind: str, taught: bool, stage: Stage) -> None:
    """It ends as directly; only rules are added; the meter shows the upstream's counts; the cache keeps hitting."""
    model = AgentModel(*KINDS[kind][1], calls=CALLS)
    url, tap = stage.open(before(kind, model, taught=taught))
    ask, path = AGENTS[agent]
    assert ask(url) == DONE
    heard = tap.to(path)
    assert len(heard) == len(model.asked) == CALLS + 1
    for (sent, reply), counts, asked in zip(heard, model.counts, model.asked, strict=True):
        assert metered(put_together(reply)["usage"]) == (counts.prompt, counts.read, OUTPUT)
        assert_only_rules_came_in(sent.body, asked, own=(agent, kind) in OWN, rule=RULE if taught else "")
    assert sum(counts.read for counts in model.counts) / sum(counts.prompt for counts in model.counts) > 0.9


@EACH_KIND
def test_a_meter_that_is_full_makes_codex_compact(kind: str, stage: Stage) -> None:
    """The tenth reply says so; the session goes on with a summary. (Claude Code, run by a script, awaits a refusal.)"""
    model = AgentModel(*KINDS[kind][1], calls=CALLS, full_at=10)
    url, _ = stage.open(before(kind, model))
    assert codex(url) == DONE
    assert model.summaries == 1
    assert len(json.dumps(model.asked[11].json)) < len(json.dumps(model.asked[9].json))


@EACH_KIND
@EACH_AGENT
def test_a_prompt_beyond_the_context_is_understood(agent: str, kind: str, stage: Stage) -> None:
    """Claude Code compacts and goes on; Codex, which cannot, says why it ends, as before OpenAI's own server."""
    first = AgentModel(*KINDS[kind][1], calls=5)
    url, _ = stage.open(before(kind, first))
    AGENTS[agent][0](url)
    model = AgentModel(*KINDS[kind][1], calls=CALLS, context=first.counts[-1].prompt)
    url, _ = stage.open(before(kind, model))
    said = AGENTS[agent][0](url)
    if agent == "claude code":
        assert model.summaries >= 1
    else:
        assert "ran out of room in the model's context window" in said
