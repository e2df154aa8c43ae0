"""The key of a kept reply: equal for the same request only."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.completion import first_pass
from gateway.domain import Rule, RuleSet
from gateway.formats.chat import open_chat
from gateway.routing.inject import compile_rules
from gateway.routing.reply_key import reply_key
from gateway.routing.route import CompiledSplit, RuleSnapshot, route
from gateway.settings import Settings
from tests.fakes import CONFIG, settings

TASK = "arithmetic"
NAMES = ("top_p", "seed", "stop", "user", "max_tokens", "metadata", "tools")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
turns = st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": st.text(max_size=8)})
requests = st.fixed_dictionaries(
    {"model": st.sampled_from(["a", "b"]), "messages": st.lists(turns, min_size=1, max_size=3)},
    optional=dict.fromkeys(NAMES, json_values),
)


def version(number: int, text: str = "Work.", scratchpad: Any = "none") -> CompiledSplit:
    rules = RuleSet(task=TASK, version=number, rules=(Rule(text=text),), scratchpad=scratchpad)
    return CompiledSplit(live=compile_rules(rules))


def key_of(
    body: bytes | dict[str, Any], split: CompiledSplit | None = None, config: Settings | None = None, **given: Any
) -> bytes:
    """The key of a chat of the task, as a key named ``a`` sends it."""
    envelope = open_chat(body if isinstance(body, bytes) else json.dumps(body).encode())
    snapshot = RuleSnapshot(splits={TASK: split or CompiledSplit()})
    plan = route(envelope, TASK, snapshot, config or settings(CONFIG))
    return reply_key(plan, first_pass(plan).changes, snapshot, **{"key": "a", "tenant": None, **given})


def asked(text: str = "2 + 2?", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **fields}


@given(requests, st.randoms())
def test_the_order_of_the_fields_does_not_matter(request: dict[str, Any], random: Any) -> None:
    """Nor do temperature and ``n``, which are 0 and 1 in every request that is looked up."""
    names = list(request)
    random.shuffle(names)
    same = {**{name: request[name] for name in names}, "temperature": -0.0, "n": 1}
    assert key_of(same) == key_of({"temperature": 0, **request})


@given(requests, requests)
def test_two_requests_have_one_key_only_if_they_are_equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Not equal for Python, to which 1 is ``True``, but in every byte of every value."""
    equal = {name: json.dumps(value) for name, value in first.items()} == {
        name: json.dumps(value) for name, value in second.items()
    }
    assert (key_of(first) == key_of(second)) is equal


@given(requests, st.sampled_from(NAMES), json_values)
def test_a_changed_field_changes_the_key(request: dict[str, Any], name: str, value: Any) -> None:
    """Whatever the gateway knows of the field."""
    changed = {**request, name: value}
    equal = name in request and json.dumps(request[name]) == json.dumps(value)
    assert (key_of(changed) == key_of(request)) is equal


@given(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), st.text(max_size=4))
def test_a_text_never_moves_from_a_field_to_its_neighbour(first: str, second: str, third: str, fourth: str) -> None:
    """The length of each part stands before it."""
    equal = (first, second) == (third, fourth)
    assert (key_of(asked(stop=first, user=second)) == key_of(asked(stop=third, user=fourth))) is equal


def test_a_big_number_is_not_rounded() -> None:
    """Two seeds beyond the precision of a float are two requests."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": 12345678901234567890%d}'
    assert key_of(body % 1) != key_of(body % 2)


def test_whose_request_it_is_decides() -> None:
    """No key, a key of any name, and its end users are all different."""
    keys = [None, "", "a", "b", "None"]
    made = {key_of(asked(), key=key, tenant=tenant) for key in keys for tenant in (None, "", "a")}
    assert len(made) == 15


def test_headers_and_query_for_the_upstream_decide() -> None:
    """A trace's headers do not: they differ in every request and change no reply."""
    beta = [(b"openai-beta", b"one")]
    assert key_of(asked(), headers=beta) != key_of(asked()) != key_of(asked(), query="?a=1")
    assert key_of(asked(), headers=[*beta, (b"traceparent", b"00-1")]) == key_of(asked(), headers=beta)


def test_another_version_changes_the_key() -> None:
    """Also with the same text, and with a roll-back to no rules."""
    made = [key_of(asked(), split) for split in (None, version(1), version(2), version(2, "Think."))]
    assert len({*made}) == 4


def test_every_decision_about_versions_changes_the_key_of_every_arm() -> None:
    """Else a trial's new arm would meet the frequent questions, and the old arm would not."""
    before = version(1)
    trial = msgspec.structs.replace(before, canary=version(2).live, canary_share=0.0)
    more = msgspec.structs.replace(trial, canary_share=1e-9)
    held = msgspec.structs.replace(before, holdback=1e-9)
    audited = msgspec.structs.replace(before, audit_rate=0.5)
    assert len({key_of(asked(), split) for split in (before, trial, more, held)}) == 4
    assert key_of(asked(), audited) == key_of(asked(), before)


def test_a_form_with_a_hidden_pass_counts_the_whole_request() -> None:
    """Its first pass leaves out the fields that shape the reply."""
    worked = version(1, scratchpad="two_pass")
    assert key_of(asked(stop=["."]), worked) != key_of(asked(stop=[","]), worked)


def test_the_models_name_at_the_upstream_changes_the_key() -> None:
    """A model of the same name here may be another there."""
    assert key_of(asked()) != key_of(asked(), config=settings(CONFIG.replace("tiny-1b", "tiny-2b")))


def test_a_stream_has_a_key_of_its_own() -> None:
    """Its bytes differ."""
    assert key_of(asked(stream=True)) != key_of(asked(stream=False)) == key_of(asked())
