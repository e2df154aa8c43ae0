"""Breakpoints of Anthropic's prompt cache for chats without any: it caches nothing that no request marks. Pure.

One stands behind the instructions with the rules, which many requests share. Where the conversation goes on, another
stands behind the last message: the next turn reads all before it for a tenth of the price.
"""

from collections.abc import Sequence

import msgspec

from gateway.upstream.anthropic_messages import Block, Turns

_MARK = {"type": "ephemeral"}
_UNMARKED = ("thinking", "redacted_thinking")
"""Blocks on which Anthropic takes no mark."""


def marked(turns: Turns) -> Turns:
    """Return a conversation with breakpoints."""
    messages = list(turns.messages)
    if any(message["role"] == "assistant" for message in messages):
        messages[-1] = {**messages[-1], "content": _marked(messages[-1]["content"])}
    return msgspec.structs.replace(turns, system=turns.system and _marked(turns.system), messages=messages)


def _marked(content: str | Sequence[Block]) -> list[Block] | str:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    if blocks[-1]["type"] in _UNMARKED:
        return blocks
    return [*blocks[:-1], {**blocks[-1], "cache_control": _MARK}]
