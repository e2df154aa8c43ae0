"""The cost of a hot swap in the prompt cache: as it is estimated, and as an upstream with a cache measures it."""

from collections.abc import Sequence

import pytest

from gateway.domain import Activation, Arm, Rule, RuleSet, Usage
from gateway.rules.cache_cost import CacheCost, swap_cost
from gateway.rules.live import refresh
from gateway.settings.models import Price
from gateway.store.base import Observed
from tests.agents.model import AgentModel
from tests.agents.shapes import Agent
from tests.conformance.stage import Running
from tests.test_agent_sessions import AGENTS, EACH_AGENT, EACH_KIND, KINDS, before, turn

CLAUDE = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)


def seen(cluster: str | None, prompt: int, arm: Arm = "weak") -> Observed:
    usage = Usage(prompt_tokens=prompt)
    return Observed(
        id="x", created=0, model="small", arm=arm, rules=1, status="ok", latency_ms=1, usage=usage, cluster=cluster
    )


def test_the_last_request_of_each_conversation_counts() -> None:
    """A conversation of one request has no history to read anew; the strong model and the holdback get no rules."""
    rows = [seen("a", 100), seen("b", 50), seen("a", 200), seen("c", 9), seen("d", 9, "strong"), seen("d", 9, "strong")]
    assert swap_cost([*rows, seen("b", 70), seen(None, 5)], Price()) == CacheCost(conversations=2, tokens=270)


def test_the_price_is_that_of_reading_anew() -> None:
    """Where writing to the cache has a price of its own, that one; without a price of the cache no money is named."""
    rows = [seen("a", 1_000_000), seen("a", 1_000_000)]
    assert swap_cost(rows, CLAUDE).usd == pytest.approx(3.45)
    assert swap_cost(rows, Price(input=3.0, cache_read=0.3)).usd == pytest.approx(2.7)
    assert swap_cost(rows, Price(input=3.0)).usd is None


def test_the_cost_is_told() -> None:
    """In a sentence."""
    told = [swap_cost(rows, CLAUDE).sentence() for rows in ([], [seen("a", 9), seen("a", 5000)])]
    assert told == [
        "no conversation under way loses its prompt cache",
        "the next request of a conversation under way is read anew: at most 5,000 cached prompt tokens, 0.02 USD",
    ]


def activate(gateway: Running, text: str) -> None:
    store = gateway.services.store
    version = store.publish(RuleSet(task="arithmetic", rules=(Rule(text=text),))).version
    store.activate(Activation(task="arithmetic", version=version, created=version, by="test"))
    refresh(store, gateway.services.rules)


async def cached(agent: str, kind: str, *, swap: bool) -> tuple[int, int, CacheCost]:
    """Tokens read from the cache in the last turns of three conversations, those of the prompts, and the estimate."""
    model = AgentModel(*KINDS[kind][1], calls=99)
    async with before(kind, model) as (gateway, client):
        activate(gateway, "Think.")
        agents: Sequence[Agent] = [AGENTS[agent](f"Do the steps of {name}.") for name in ("ann", "bob", "eve")]
        for each in agents:
            for _ in range(6):
                each.take((await turn(client, each, stream=True))[1])
        assert gateway.services.writer.flush(5)
        cost = swap_cost(gateway.services.store.observed("arithmetic", since=0, limit=100), Price())
        if swap:
            activate(gateway, "Think twice.")
        for each in agents:
            await turn(client, each, stream=True)
    last = model.counts[-3:]
    return sum(counts.read for counts in last), sum(counts.prompt for counts in last), cost


@EACH_KIND
@EACH_AGENT
async def test_the_estimate_bounds_what_a_cache_measures(agent: str, kind: str) -> None:
    """A swap loses the turns, and never more than was estimated; what stands before the rules keeps hitting."""
    kept, prompt, _ = await cached(agent, kind, swap=False)
    read, _, cost = await cached(agent, kind, swap=True)
    assert cost.conversations == 3
    assert 0 < kept - read <= cost.tokens
    assert read > 0 and kept > 0.9 * prompt
