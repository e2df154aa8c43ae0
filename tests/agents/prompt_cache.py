"""Prompt caches as providers keep them, for scripted upstreams: which tokens of a prompt are read, written, or new.

``blocks`` are the parts of a prompt in the order in which a provider reads them: tools, instructions, turns.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

STEP = 128
"""OpenAI's caches grow by as many tokens, from ``LEAST`` on."""
LEAST = 1024
LOOK_BACK = 20
"""Blocks before a breakpoint at which Anthropic's cache looks for an earlier entry."""
BYTES_PER_TOKEN = 4


@dataclasses.dataclass(frozen=True)
class Counts:
    """Tokens of a prompt."""

    prompt: int
    read: int = 0
    written: int = 0


def tokens(blocks: Sequence[bytes]) -> int:
    return sum(map(len, blocks)) // BYTES_PER_TOKEN


class AutomaticCache:
    """Finds the longest beginning that an earlier prompt had, as OpenAI's servers, vLLM and llama.cpp do."""

    def __init__(self) -> None:
        self._earlier: list[bytes] = []

    def count(self, blocks: Sequence[bytes]) -> Counts:
        """Count a prompt, and remember it."""
        prompt = b"".join(blocks)
        shared = max((_shared(prompt, earlier) for earlier in self._earlier), default=0) // BYTES_PER_TOKEN
        self._earlier.append(prompt)
        return Counts(len(prompt) // BYTES_PER_TOKEN, read=shared // STEP * STEP if shared >= LEAST else 0)


def _shared(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:  # the longest equal beginning, by halves
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


class MarkedCache:
    """Reads and writes at the client's breakpoints only, as Anthropic's servers do."""

    def __init__(self) -> None:
        self._entries: set[bytes] = set()

    def count(self, blocks: Sequence[bytes], marks: Sequence[int]) -> Counts:
        """Count a prompt, and remember it. ``marks`` are the places of blocks with a breakpoint."""
        beginnings, digest = [], hashlib.sha256()
        for block in blocks:
            digest.update(b"%d " % len(block) + block)
            beginnings.append(digest.digest())
        found = (
            at for mark in marks for at in range(mark, max(-1, mark - LOOK_BACK), -1) if beginnings[at] in self._entries
        )
        read = tokens(blocks[: max(found, default=-1) + 1])
        self._entries.update(beginnings[mark] for mark in marks)
        upto = tokens(blocks[: max(marks, default=-1) + 1])
        return Counts(tokens(blocks), read=read, written=max(0, upto - read))


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()


def chat_blocks(body: Mapping[str, Any]) -> list[bytes]:
    return [written(body.get("tools")), *map(written, body["messages"])]


def response_blocks(body: Mapping[str, Any]) -> list[bytes]:
    given = body["input"]
    items = given if isinstance(given, list) else [given]
    return [written(body.get("tools")), written(body.get("instructions")), *map(written, items)]


def message_blocks(body: Mapping[str, Any]) -> tuple[list[bytes], list[int]]:
    """Return the blocks of a message and the places of its breakpoints."""
    system = body.get("system") or []
    parts = [*(body.get("tools") or []), *([system] if isinstance(system, str) else system)]
    for message in body["messages"]:
        content = message["content"]
        inner = content if isinstance(content, list) else [{"type": "text", "text": content}]
        parts += [{**block, "of": message["role"]} for block in inner]
    marks = [at for at, part in enumerate(parts) if isinstance(part, dict) and "cache_control" in part]
    plain = [
        {key: value for key, value in part.items() if key != "cache_control"} if isinstance(part, dict) else part
        for part in parts
    ]
    return [written(part) for part in plain], marks
