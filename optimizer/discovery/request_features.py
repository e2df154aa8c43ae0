"""Read the features of a recorded request that tell its kind: instructions, first question, tools, wanted form.

Reads the bodies of chats, of responses and of Anthropic's messages; an odd body is no error. Does not compare requests.
"""

from gateway.domain import Exchange, Value
from optimizer.dataset.recorded_request import INSTRUCTION_ROLES, read_request


class RequestFeatures(Value, frozen=True):
    """The features of one request."""

    system: str
    """The text of its instructions; empty if it has none."""
    question: str
    """The user's first message."""
    tools: tuple[str, ...]
    """Names of the offered tools, sorted."""
    json: bool
    """True if the request asks for JSON."""


def features_of(exchange: Exchange) -> RequestFeatures | None:
    """Return the features of a recorded conversation; ``None`` for any other request (embeddings) or none at all."""
    request = read_request(exchange.request)
    is_chat = request.api == "chat" or (request.api == "responses" and exchange.usage.output_tokens > 0)
    if not request.turns or not is_chat:
        return None
    first = request.turns[0]
    return RequestFeatures(
        system=first.text if first.role in INSTRUCTION_ROLES else "",
        question=request.first_question,
        tools=request.tool_names,
        json=request.wants_json,
    )
