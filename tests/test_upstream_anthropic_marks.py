"""Breakpoints of the prompt cache in chats that have none."""

import json
from typing import Any

from gateway.settings import AnthropicSettings
from gateway.upstream.anthropic_marks import marked
from gateway.upstream.anthropic_messages import Turns
from gateway.upstream.anthropic_requests import message_request
from gateway.upstream.base import Call

MARK = {"type": "ephemeral"}
SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "2 + 2?"}
ON = [SYSTEM, ASK, {"role": "assistant", "content": "4"}, {"role": "user", "content": "And 3 + 3?"}]


def sent(messages: list[dict[str, Any]], settings: AnthropicSettings | None = None) -> dict[str, Any]:
    call = Call(model="claude-opus-5", body=json.dumps({"model": "m", "messages": messages}).encode())
    body: dict[str, Any] = json.loads(message_request(call, settings or AnthropicSettings()).body)
    return body


def test_instructions_are_marked() -> None:
    """With the rules behind them: many requests share both."""
    assert sent([SYSTEM, ASK])["system"] == [{"type": "text", "text": "Be brief.", "cache_control": MARK}]
    assert sent([SYSTEM, ASK])["messages"] == [ASK]


def test_a_conversation_that_goes_on_is_marked_at_its_end() -> None:
    """The next turn reads it; a single question would pay for an entry that nobody reads."""
    last = sent(ON)["messages"][-1]
    assert last == {"role": "user", "content": [{"type": "text", "text": "And 3 + 3?", "cache_control": MARK}]}


def test_nothing_is_marked_beside_a_clients_own_marks() -> None:
    """The client knows what lasts."""
    own = {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": MARK}]}
    assert sent([own, *ON[1:]])["messages"][-1] == ON[-1]


def test_nothing_is_marked_if_the_configuration_says_so() -> None:
    """``cache_chats``."""
    assert b"cache_control" not in json.dumps(sent(ON, AnthropicSettings(cache_chats=False))).encode()


def test_thoughts_take_no_mark() -> None:
    """Anthropic refuses it."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    turns = Turns(system=None, messages=[{"role": "assistant", "content": [thought]}], thinks_back=True)
    assert marked(turns).messages == turns.messages
