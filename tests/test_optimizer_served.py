"""A configured model as the optimizer asks it."""

import json

from gateway.domain import Rule, RuleSet
from gateway.store.memory import MemoryStore
from optimizer.served import ServedModel
from tests.fakes import FakeUpstream, settings
from tests.learning import made

REQUEST = json.dumps({"messages": [{"role": "user", "content": "What is 2 plus 2?"}], "temperature": 0}).encode()


async def test_rules_are_injected_as_they_would_be_live() -> None:
    """What is verified is what will serve."""
    upstream = FakeUpstream(lambda body: "4")
    model = ServedModel("small", made(upstream, MemoryStore(), settings()))
    rule_set = RuleSet(task="arithmetic", rules=(Rule(text="Add carefully."),))
    answer = await model.answer(REQUEST, rule_set)
    assert answer.text == "4"
    assert "Add carefully." in upstream.bodies[0]["messages"][0]["content"]
    assert upstream.bodies[0]["model"] == "tiny-1b"


async def test_the_usage_of_a_scratchpad_counts_both_passes() -> None:
    """Its cost is not hidden."""
    upstream = FakeUpstream(lambda body: "4")
    model = ServedModel("small", made(upstream, MemoryStore(), settings()))
    answer = await model.answer(REQUEST, RuleSet(task="arithmetic", scratchpad="two_pass"))
    assert len(upstream.bodies) == 2
    assert answer.usage.output_tokens == 6


async def test_two_models_of_one_upstream_are_not_mistaken_for_each_other() -> None:
    """Cached answers belong to one of them."""
    services = made(FakeUpstream(lambda body: ""), MemoryStore(), settings())
    assert ServedModel("small", services).identity != ServedModel("large", services).identity
