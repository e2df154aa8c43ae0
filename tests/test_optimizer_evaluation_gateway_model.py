"""A configured model as the optimizer asks it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Rule, RuleSet
from gateway.errors import UpstreamGarbage, UpstreamUnreachable
from gateway.settings import ExactGrader
from gateway.store.memory import MemoryStore
from gateway.teaching import DecisionRule, Worksheet
from gateway.upstream.adapted import AdaptedUpstream
from gateway.upstream.base import Upstream
from gateway.upstream.quirk_memory import QuirkMemory
from optimizer.dataset.items import item_of
from optimizer.evaluation.answer_cache import AnswerCache
from optimizer.evaluation.budget import Ledger
from optimizer.evaluation.evaluator import Evaluator
from optimizer.evaluation.gateway_model import GatewayModelClient
from tests.fakes import CONFIG, Answer, FakeReply, FakeUpstream, completion, services, settings
from tests.learning import made

REQUEST = json.dumps({"messages": [{"role": "user", "content": "What is 2 plus 2?"}], "temperature": 0}).encode()
TWO_PASSES = RuleSet(task="arithmetic", scratchpad="two_pass")


@pytest.fixture
def evaluations(tmp_path: Path) -> Iterator[AnswerCache]:
    opened = AnswerCache(tmp_path)
    yield opened
    opened.close()


def served(upstream: Upstream, evaluations: AnswerCache) -> GatewayModelClient:
    return GatewayModelClient("small", made(upstream, MemoryStore(), settings()).learner_context(), evaluations)


async def test_rules_are_injected_as_they_would_be_live(evaluations: AnswerCache) -> None:
    """What is verified is what will serve."""
    upstream = FakeUpstream(lambda body: "4")
    rule_set = RuleSet(task="arithmetic", rules=(Rule(text="Add carefully."),))
    answer = await served(upstream, evaluations).answer(REQUEST, rule_set)
    assert answer.text == "4"
    assert "Add carefully." in upstream.bodies[0]["messages"][0]["content"]
    assert upstream.bodies[0]["model"] == "tiny-1b"


async def test_the_usage_of_a_scratchpad_counts_both_passes(evaluations: AnswerCache) -> None:
    """Its cost is not hidden."""
    upstream = FakeUpstream(lambda body: "4")
    answer = await served(upstream, evaluations).answer(REQUEST, TWO_PASSES)
    assert len(upstream.bodies) == 2
    assert answer.usage.output_tokens == 6


async def test_the_answers_of_hidden_passes_are_kept_beside_the_reply(evaluations: AnswerCache) -> None:
    """A strong model that mends a worksheet must see how it was filled in."""
    sheet = Worksheet(
        schema={"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]},
        decisions=(DecisionRule(when="", result="late"),),
    )
    texts = iter(['{"days": 40}', "late"])
    upstream = FakeUpstream(lambda body: next(texts))
    answer = await served(upstream, evaluations).answer(REQUEST, RuleSet(task="arithmetic", worksheet=sheet))
    assert (answer.text, answer.hidden) == ("late", ('{"days": 40}',))
    plain = await served(FakeUpstream(lambda body: "4"), evaluations).answer(REQUEST, None)
    assert plain.hidden == ()


async def test_the_tools_that_a_reply_calls_are_seen(evaluations: AnswerCache) -> None:
    """As the caller would see them."""
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    upstream = FakeUpstream(lambda body: FakeReply(200, [completion("", choices=choices)], {}))
    answer = await served(upstream, evaluations).answer(REQUEST, None)
    assert [(one.name, one.arguments) for one in answer.tool_calls] == [("add", "{}")]


async def test_a_first_pass_is_not_paid_again_when_the_second_failed(evaluations: AnswerCache) -> None:
    """Nor its usage and its latency forgotten."""
    replies: list[Answer] = ["working", UpstreamUnreachable("gone"), "4"]
    upstream = FakeUpstream(lambda body: replies.pop(0))
    with pytest.raises(UpstreamUnreachable):
        await served(upstream, evaluations).answer(REQUEST, TWO_PASSES)
    answer = await served(upstream, evaluations).answer(REQUEST, TWO_PASSES)
    assert (answer.text, answer.usage.output_tokens, len(upstream.bodies)) == ("4", 6, 3)


async def test_an_answer_that_is_complete_leaves_no_pass_behind(evaluations: AnswerCache) -> None:
    """Asked once more, on purpose, the model answers once more: that is how its own noise is measured."""
    replies = iter(range(9))
    upstream = FakeUpstream(lambda body: str(next(replies)))
    model = served(upstream, evaluations)
    assert (await model.answer(REQUEST, None)).text == "0"
    await asyncio.sleep(0)
    await asyncio.wrap_future(evaluations._writer.submit(lambda: None))  # until the thread has come to it
    assert (await model.answer(REQUEST, None)).text == "1"


async def test_what_is_no_reply_is_not_kept(evaluations: AnswerCache) -> None:
    """The next try asks again."""
    replies: list[Answer] = [FakeReply(200, [b"<html>"], {}), "4"]
    upstream = FakeUpstream(lambda body: replies.pop(0))
    with pytest.raises(UpstreamGarbage):
        await served(upstream, evaluations).answer(REQUEST, None)
    assert (await served(upstream, evaluations).answer(REQUEST, None)).text == "4"


async def test_two_models_of_one_upstream_are_not_mistaken_for_each_other(evaluations: AnswerCache) -> None:
    """Cached answers belong to one of them."""
    services = made(FakeUpstream(lambda body: ""), MemoryStore(), settings())
    small, large = (GatewayModelClient(name, services.learner_context(), evaluations) for name in ("small", "large"))
    assert small.identity != large.identity


def refusing(body: dict[str, Any]) -> Answer:
    """A reasoning model: it takes no temperature, and the limit under another name."""
    for name in ("temperature", "max_tokens"):
        if name in body:
            error = {"message": f"Unsupported parameter: '{name}' is not supported with this model.", "param": name}
            return FakeReply(400, [json.dumps({"error": error}).encode()], {})
    return "4"


async def test_a_model_that_refuses_fields_is_evaluated_as_it_would_serve(evaluations: AnswerCache) -> None:
    """Four at once, each refused for what the evaluator adds: all are answered, none fails."""
    upstream = FakeUpstream(refusing)
    model = served(AdaptedUpstream(upstream, "mock", "server", QuirkMemory(lambda: 0.0)), evaluations)
    ledger = Ledger(budget_calls=20, budget_tokens=20_000)
    desk = Evaluator(evaluations, ledger, concurrency=4, max_output_tokens=256)
    items = [item_of({"messages": [{"role": "user", "content": f"2 + {n}?"}]}, "4") for n in range(12)]
    trials = await desk.trials(model, items, None, ExactGrader(), stage="test")
    assert all(trial.correct for trial in trials)
    answered = [body for body in upstream.bodies if not {"temperature", "max_tokens"} & set(body)]
    assert [body["max_completion_tokens"] for body in answered] == [256] * 12


OLLAMA = CONFIG.replace('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"', 'kind = "ollama"')


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        (OLLAMA, OLLAMA.replace('"ollama"', '"ollama"\nthink = false')),
        (OLLAMA, OLLAMA.replace('"ollama"', '"ollama"\noptions = { num_ctx = 8192 }')),
        (CONFIG, CONFIG.replace('model = "tiny-1b"', 'model = "tiny-1b"\nquirks = { without = ["temperature"] }')),
    ],
    ids=["think", "options", "quirks"],
)
async def test_a_setting_that_shapes_answers_makes_another_model(
    evaluations: AnswerCache, config: str, changed: str
) -> None:
    """Old answers are not reported for it; other settings, and none, leave the identity as it was."""

    def identity(text: str) -> str:
        made_ = made(FakeUpstream(lambda body: ""), MemoryStore(), settings(text))
        return GatewayModelClient("small", made_.learner_context(), evaluations).identity

    assert identity(config) != identity(changed)
    assert identity(CONFIG) == identity(CONFIG + '[upstreams.other]\nkind = "ollama"\n')
    assert identity(CONFIG) == "openai http://127.0.0.1:9/v1 tiny-1b"


async def test_both_sides_of_a_test_meet_the_same_of_equal_deployments(evaluations: AnswerCache) -> None:
    """By the weights and the question: a difference between servers is no effect of the rules."""
    shared = 'upstreams = ["mock", "other"]\nweights = [1, 1]\nmodel = "tiny-1b"'
    text = CONFIG.replace('upstream = "mock"\nmodel = "tiny-1b"', shared, 1)
    config = settings(text + '[upstreams.other]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n')
    servers = {name: FakeUpstream(lambda body: "4") for name in ("mock", "other")}
    made_services = services(config, servers)
    context = made_services.learner_context()
    model, rule_set = (
        GatewayModelClient("small", context, evaluations),
        RuleSet(task="arithmetic", rules=(Rule(text="x"),)),
    )
    for number in range(12):
        for rules in (None, rule_set):
            request = json.dumps({"messages": [{"role": "user", "content": f"What is {number}?"}]}).encode()
            await model.answer(request, rules)
    counts = [len(server.bodies) for server in servers.values()]
    assert sum(counts) == 24 and all(count and count % 2 == 0 for count in counts)
