"""Where a request goes, and with which rules."""

import msgspec
import pytest

from gateway.domain import Rule, RuleSet
from gateway.errors import BadRequest, ModelNotFound
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation, Envelope, raw
from gateway.formats.responses import open_responses
from gateway.routing.conversation import conversation_key
from gateway.routing.inject import compile_rules
from gateway.routing.route import CompiledSplit, RuleSnapshot, choose_arm, plan_for, route
from gateway.settings import Settings, parse

CONFIG = """
[upstreams.mock]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
upstream = "mock"
model = "tiny-1b"
[models.large]
upstream = "mock"
model = "huge-1t"
[tasks.sums]
weak = "small"
strong = "large"
rollout = { holdback = 0 }
"""
RULES = compile_rules(RuleSet(task="sums", version=3, rules=(Rule(text="Work."),)))
LIVE = RuleSnapshot(splits={"sums": CompiledSplit(live=RULES)})


def settings(more: str = "", **environment: str) -> Settings:
    return parse(CONFIG + more, source="test", environment=environment)


def asked(model: str) -> Envelope:
    return open_chat(bytes(raw({"model": model, "messages": [{"role": "user", "content": "2 + 2?"}]})))


def test_a_task_goes_to_its_weak_model_with_its_rules() -> None:
    """The client's own model name does not matter any more."""
    plan = route(asked("gpt"), "sums", LIVE, settings())
    assert (plan.task, plan.arm, plan.model, plan.upstream, plan.upstream_model) == (
        "sums", "weak", "small", "mock", "tiny-1b"
    )  # fmt: skip
    assert plan.injection is RULES
    assert plan.rules_version == 3


def test_the_strong_model_gets_no_rules() -> None:
    """Rules are made for the weak model and verified on it."""
    plan = route(asked("gpt"), "sums", LIVE, settings('serve = "strong"'))
    assert (plan.arm, plan.upstream_model, plan.injection, plan.rules_version) == ("strong", "huge-1t", None, None)


def test_a_task_without_active_rules_gets_none() -> None:
    """No rules is a normal state."""
    assert route(asked("gpt"), "sums", RuleSnapshot(), settings()).injection is None


def test_the_kill_switch_turns_every_injection_off() -> None:
    """``PRECEPTOR_INJECTION=off`` serves the bare weak model."""
    plan = route(asked("gpt"), "sums", LIVE, settings(PRECEPTOR_INJECTION="off"))
    assert (plan.arm, plan.injection, plan.why) == ("weak", None, "switched_off")


def test_a_configured_model_is_served_directly() -> None:
    """Without a task there are no rules."""
    plan = route(asked("large"), None, LIVE, settings())
    assert (plan.task, plan.arm, plan.model, plan.upstream_model, plan.injection) == (
        None, "direct", "large", "huge-1t", None
    )  # fmt: skip


def test_an_unknown_model_passes_through_to_the_default_upstream() -> None:
    """Its body is left untouched: there is no name of ours to put into it."""
    plan = route(asked("gpt-9"), None, LIVE, settings('[server]\ndefault_upstream = "mock"'))
    assert (plan.arm, plan.model, plan.upstream, plan.upstream_model) == ("direct", "gpt-9", "mock", None)


def test_an_unknown_model_is_not_found_without_a_default() -> None:
    """The error names it."""
    with pytest.raises(ModelNotFound, match="gpt-9"):
        route(asked("gpt-9"), None, LIVE, settings())


def test_a_response_without_a_model_is_for_the_default_upstream() -> None:
    """Only that one could know the model; without it the request is refused."""
    envelope = open_responses(b'{"input":"2 + 2?"}')
    assert route(envelope, None, LIVE, settings('[server]\ndefault_upstream = "mock"')).upstream_model is None
    with pytest.raises(BadRequest, match="must provide a model"):
        route(envelope, None, LIVE, settings())


def test_a_plan_does_not_change() -> None:
    """What was decided when a request began holds until it ends."""
    plan = plan_for(asked("gpt"), "small", settings())
    with pytest.raises(AttributeError):
        plan.injection = RULES  # type: ignore[misc]
    assert msgspec.structs.replace(plan, injection=RULES).rules_version == 3


def test_fallbacks_are_asked_without_rules() -> None:
    """They stand in, in their order; rules were verified on the weak model only."""
    plan = route(asked("gpt"), "sums", LIVE, settings('fallback = ["large", "small"]'))
    assert [(other.arm, other.model, other.injection) for other in plan.fallbacks] == [
        ("fallback", "large", None), ("fallback", "small", None)
    ]  # fmt: skip


def test_rules_with_a_scratchpad_are_not_injected_where_there_is_no_room_for_one() -> None:
    """Without the room that they were verified with they would ask for working in the open."""
    rules = compile_rules(RuleSet(task="sums", version=3, scratchpad="two_pass", rules=(Rule(text="Work."),)))
    turn = {"model": "gpt", "messages": [{"role": "user", "content": "2 + 2?"}], "tools": [{"type": "function"}]}
    with_tools = route(
        open_chat(bytes(raw(turn))), "sums", RuleSnapshot(splits={"sums": CompiledSplit(live=rules)}), settings()
    )
    assert (with_tools.form.name, with_tools.injection, with_tools.rules_version, with_tools.why) == (
        "none",
        None,
        None,
        "tools",
    )
    plain = route(asked("gpt"), "sums", RuleSnapshot(splits={"sums": CompiledSplit(live=rules)}), settings())
    assert (plain.form.name, plain.rules_version) == ("two_pass", 3)


TRIAL = compile_rules(RuleSet(task="sums", version=4, rules=(Rule(text="Check."),)))


def arms(split: CompiledSplit, more: str, count: int = 2000) -> dict[int, str]:
    """The arm of each of many conversations."""
    section = parse(CONFIG.replace("rollout = { holdback = 0 }", more), source="test", environment={}).tasks["sums"]
    return {
        number: choose_arm(conversation_key(conversation(number)), "sums", section, split)[0] for number in range(count)
    }


def conversation(number: int) -> Conversation:
    return open_chat(bytes(raw({"model": "gpt", "messages": [{"role": "user", "content": f"What is {number} + 2?"}]})))


def test_a_trial_gets_its_share_of_the_conversations() -> None:
    """The others keep the live rule set; each arm gets the rules that it is named for."""
    split = CompiledSplit(live=RULES, canary=TRIAL, canary_share=0.25)
    found = arms(split, "rollout = { holdback = 0 }")
    assert set(found.values()) == {"weak", "canary"}
    assert 420 < list(found.values()).count("canary") < 580
    on_trial = next(number for number, arm in found.items() if arm == "canary")
    plan = route(conversation(on_trial), "sums", RuleSnapshot(splits={"sums": split}), settings())
    assert (plan.arm, plan.rules_version, plan.model) == ("canary", 4, "small")


def test_a_conversation_stays_on_trial_while_the_share_grows() -> None:
    """Nobody's prompt cache is lost, nobody sees two versions by turns."""
    small, large = (
        arms(CompiledSplit(live=RULES, canary=TRIAL, canary_share=share), "rollout = { holdback = 0 }")
        for share in (0.05, 0.25)
    )
    assert all(large[number] == "canary" for number, arm in small.items() if arm == "canary")


def test_some_conversations_are_held_back_for_good() -> None:
    """The same ones whatever is live or on trial, so that the benefit of rules stays measured."""
    held = [
        {number for number, arm in arms(split, "rollout = { holdback = 0.1 }").items() if arm == "holdback"}
        for split in (
            CompiledSplit(live=RULES),
            CompiledSplit(live=TRIAL),
            CompiledSplit(live=RULES, canary=TRIAL, canary_share=1.0),
        )
    ]
    assert held[0] == held[1] == held[2]
    assert 140 < len(held[0]) < 260


def test_without_rules_nobody_is_held_back() -> None:
    """There is nothing to hold back."""
    assert set(arms(CompiledSplit(), "rollout = { holdback = 0.5 }").values()) == {"weak"}


def test_both_models_serve_in_the_shares_that_were_decided() -> None:
    """``serve = "canary"``: the first step until somebody decides, then what was decided, none included."""
    rollout = 'serve = "canary"\nrollout = { steps = [0.1, 1.0], holdback = 0 }'
    first, half, none = (arms(CompiledSplit(live=RULES, weak_share=share), rollout) for share in (None, 0.5, 0.0))
    assert 140 < list(first.values()).count("weak") < 260
    assert 900 < list(half.values()).count("weak") < 1100
    assert set(none.values()) == {"strong"}
    assert all(half[number] == "weak" for number, arm in first.items() if arm == "weak")


def test_a_shadowed_task_is_served_by_its_strong_model() -> None:
    """Without rules: they were made for the weak one."""
    plan = route(asked("gpt"), "sums", LIVE, settings('serve = "shadow"'))
    assert (plan.arm, plan.model, plan.injection) == ("strong", "large", None)


def test_the_kill_switch_keeps_every_rule_out() -> None:
    """Live ones and those on trial."""
    for split in (CompiledSplit(live=RULES), CompiledSplit(live=RULES, canary=TRIAL, canary_share=1.0)):
        plan = route(asked("gpt"), "sums", RuleSnapshot(splits={"sums": split}, injecting=False), settings())
        assert (plan.model, plan.injection) == ("small", None)
