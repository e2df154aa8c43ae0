"""Chat requests for tests of what is sent upstream."""

import json
from typing import Any

from gateway.formats.chat import ChatRequest, open_chat
from gateway.formats.envelope import raw
from gateway.forms import Pass

SYSTEM = {"role": "system", "content": "Reply with only the number."}
USER = {"role": "user", "content": "What is 2 + 2?"}
TEXT_PART = {"type": "text", "text": "What is 2 + 2?"}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}


def asked(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    """A chat request, by default with a system message and a question."""
    return open_chat(bytes(raw({"model": "gpt", "messages": messages or [SYSTEM, USER], **fields})))


def sent(request: ChatRequest, step: Pass) -> dict[str, Any]:
    """The body that goes upstream in a pass."""
    body: dict[str, Any] = json.loads(request.sealed(step.changes))
    return body
