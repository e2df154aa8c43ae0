"""An official client cannot tell: what it sees through the gateway is what it sees against the upstream itself.

Each scenario runs twice, and three things are compared: what the client's own types hold, what it raised, and what
arrived at the upstream. Wanted differences are named here, all of them.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.clients import KEY, Client, Observation, SyncClient
from tests.conformance.replies import MODEL as UPSTREAMS_NAME
from tests.conformance.scenarios import MODEL, SCENARIOS, Scenario
from tests.conformance.stage import Running
from tests.conformance.upstream import Asked, ScriptedUpstream


def carried_out(scenario: Scenario, client: Client, upstream: ScriptedUpstream, url: str, model: str) -> Observation:
    """Play a scenario and return what the client saw."""
    upstream.play(scenario.answers)
    action = json.loads(json.dumps(scenario.action).replace(f'"{MODEL}"', f'"{model}"'))
    return client.perform(action, url)


def told(seen: Observation, scenario: Scenario) -> Mapping[str, Any]:
    """An observation without what the gateway means to change: ids of exchanges, and words about its own key."""
    error = dict(seen["error"] or {})
    error.pop("request_id", None)
    if scenario.own_words:
        error = {key: error[key] for key in ("name", "status", "retry_after")}
    return {"value": _without_ids(seen["value"]), "error": error}


def _without_ids(value: Any) -> Any:
    """The id of a completion is the exchange's; ``usage: null`` is how an upstream says that usage was asked for."""
    match value:
        case [*items]:
            return [_without_ids(item) for item in items]
        case {"object": "chat.completion" | "chat.completion.chunk" | "text_completion"}:
            return {key: each for key, each in value.items() if key != "id" and (key, each) != ("usage", None)}
        case _:
            return value


def arrived(asked: Asked) -> Mapping[str, Any]:
    """A request as the upstream got it, without what the gateway means to add: that streams say their usage."""
    line, kind, body = asked.line, asked.headers.get("content-type", ""), asked.body
    if kind.startswith("multipart/form-data"):
        mark = kind.partition("boundary=")[2].strip('"').encode()
        return {"line": line, "type": "multipart/form-data", "body": body.replace(mark, b"BOUNDARY")}
    if not body:
        return {"line": line}
    assert kind == "application/json"
    if b'"stream":true' not in body:
        return {"line": line, "body": body}
    given = asked.json
    options = {**(given.pop("stream_options", None) or {}), "include_usage": ...}
    return {"line": line, "body": list(given.items()), "options": options}


def cannot_tell(name: str, client: Client, upstream: ScriptedUpstream, direct: str, through: str) -> None:
    """The same values, the same exceptions, the same requests upstream, and as many of them."""
    scenario = SCENARIOS[name]
    without = carried_out(scenario, client, upstream, direct, UPSTREAMS_NAME)
    sent = upstream.asked
    seen = carried_out(scenario, client, upstream, through, "gpt-4o-mini" if name.startswith("chat") else "small")
    shown = json.dumps(without, ensure_ascii=False)
    assert [text for text in scenario.shows if text not in shown] == [], shown
    assert told(seen, scenario) == told(without, scenario)
    assert [arrived(each) for each in upstream.asked] == [arrived(each) for each in sent]
    assert len(sent) == scenario.calls
    assert {each.headers["authorization"] for each in upstream.asked} == {"Bearer sk-upstream"}
    assert not any(KEY in value for each in upstream.asked for value in each.headers.values())


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_client_cannot_tell(
    name: str, client: Client, upstream: ScriptedUpstream, direct: str, through: Running
) -> None:
    """Every official client, every scenario."""
    cannot_tell(name, client, upstream, direct, through.url)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_client_cannot_tell_a_gateway_that_the_command_line_started(
    name: str, upstream: ScriptedUpstream, direct: str, deployed: str
) -> None:
    """A process with its own loop, database and log."""
    cannot_tell(name, SyncClient(), upstream, direct, deployed)
