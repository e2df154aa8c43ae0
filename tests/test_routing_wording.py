"""The wording of a message: Anthropic's own for an upstream that speaks it, a chat for any other."""

import json
from typing import Any

import pytest

from gateway.domain import Rule, RuleSet
from gateway.errors import BadRequest
from gateway.formats.anthropic_request import AnthropicRequest, open_anthropic
from gateway.formats.messages import MessagesRequest
from gateway.routing.inject import compile_rules
from gateway.routing.route import CompiledSplit, RoutePlan, RuleSnapshot, route
from gateway.routing.wording import worded
from tests.fakes import CONFIG, settings

HELLO = [{"role": "user", "content": "hi"}]
DOCUMENT = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
TEXT = CONFIG.replace('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"', 'kind = "anthropic"').replace(
    '[models.large]\nupstream = "mock"',
    '[upstreams.other]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n[models.large]\nupstream = "other"',
)
RULES = CompiledSplit(live=compile_rules(RuleSet(task="arithmetic", version=1, rules=(Rule(text="Count twice."),))))


def planned(
    content: Any = "hi", *, model: str = "gpt-4o-mini", task: str | None = "arithmetic", text: str = TEXT
) -> RoutePlan:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    made = settings(text)
    snapshot = RuleSnapshot(splits={"arithmetic": RULES})
    return worded(route(open_anthropic(json.dumps(body).encode()), task, snapshot, made, key="k"), made, key="k")


def test_an_upstream_of_the_same_words_gets_the_request_itself() -> None:
    """With its rules."""
    plan = planned([DOCUMENT])
    assert isinstance(plan.envelope, AnthropicRequest) and plan.envelope.cache_rules
    assert plan.rules_version == 1


def test_the_breakpoint_is_the_configurations() -> None:
    """``cache_rules``."""
    plan = planned(text=TEXT.replace('kind = "anthropic"', 'kind = "anthropic"\ncache_rules = false'))
    assert isinstance(plan.envelope, AnthropicRequest) and not plan.envelope.cache_rules


def test_another_upstream_gets_a_chat() -> None:
    """With the same arm, rules and guidance; a name that passes through, too."""
    plan = planned(
        text=TEXT.replace('weak = "small"', 'weak = "large"').replace('strong = "large"', 'strong = "small"')
    )
    assert isinstance(plan.envelope, MessagesRequest) and (plan.upstream, plan.rules_version) == ("other", 1)
    assert plan.guidance.instructions.endswith("Count twice.")
    through = planned(
        model="claude-x", task=None, text=TEXT.replace("[server]", '[server]\ndefault_upstream = "other"')
    )
    assert isinstance(through.envelope, MessagesRequest) and through.upstream_model is None
    assert isinstance(planned(model="large", task=None).envelope, MessagesRequest)


def test_each_fallback_gets_its_own_wording() -> None:
    """Those that cannot take the request are left out."""
    text = TEXT.replace("grader = {", 'fallback = ["large", "small"]\ngrader = {')
    kinds = [type(fallback.envelope) for fallback in planned(text=text).fallbacks]
    assert kinds == [MessagesRequest, AnthropicRequest]
    assert [type(fallback.envelope) for fallback in planned([DOCUMENT], text=text).fallbacks] == [AnthropicRequest]


def test_a_request_beyond_chats_is_refused_where_only_chats_are_served() -> None:
    """By its place."""
    with pytest.raises(BadRequest) as caught:
        planned([DOCUMENT], model="large", task=None)
    assert caught.value.param == "messages.0.content.0.source.type"


def test_another_models_thinking_does_not_reach_anthropic() -> None:
    """As in a conversation that a fallback goes on with; a name that passes through stays untouched."""
    foreign = {"type": "thinking", "thinking": "hm", "signature": ""}
    for model, task in (("gpt-4o-mini", "arithmetic"), ("small", None)):
        plan = planned([foreign, {"type": "text", "text": "hi"}], model=model, task=task)
        assert isinstance(plan.envelope, AnthropicRequest)
        assert b"thinking" not in bytes(plan.envelope.messages[0])
