"""Chat requests for tests of what is sent upstream."""

import json
from typing import Any

from gateway.domain import Rule
from gateway.formats.chat import ChatRequest, open_chat
from gateway.formats.envelope import raw
from gateway.forms import Guidance, Pass, compile_rule_text

SYSTEM = {"role": "system", "content": "Reply with only the number."}
USER = {"role": "user", "content": "What is 2 + 2?"}
TEXT_PART = {"type": "text", "text": "What is 2 + 2?"}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}


def asked(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    """A chat request, by default with a system message and a question."""
    return open_chat(bytes(raw({"model": "gpt", "messages": messages or [SYSTEM, USER], **fields})))


def guided(*rules: str | Rule) -> Guidance:
    """The guidance of an unconditional rule set."""
    return Guidance(rules=compile_rule_text([rule if isinstance(rule, Rule) else Rule(text=rule) for rule in rules]))


def sent(request: ChatRequest, step: Pass) -> dict[str, Any]:
    """The body that goes upstream in a pass."""
    body: dict[str, Any] = json.loads(request.sealed(step.changes))
    return body
