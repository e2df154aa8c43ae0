"""How the model servers of the benchmark behave: one name for each behaviour, which is also the model's name.

Everything that must know them (the servers, every gateway's configuration, the cases) reads this table.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.domain import Value


class Behaviour(Value, frozen=True):
    """How a model answers. One that streams sends its first event at once."""

    after_ms: float = 0
    """Milliseconds until a whole reply."""
    chunks: int = 0
    """Events with text in a stream; 0 for a model that answers with a whole reply."""
    every_ms: float = 0
    """Milliseconds from one to the next."""


FIXED: Final = "fixed"
"""Answered by nginx, which is faster than anything that is measured; the others by ``mock``."""

MODELS: Final[Mapping[str, Behaviour]] = {
    FIXED: Behaviour(),
    "after-50": Behaviour(after_ms=50),
    "after-500": Behaviour(after_ms=500),
    "stream": Behaviour(chunks=50, every_ms=20),
    "held": Behaviour(chunks=300, every_ms=2000),
}

COMPLETION: Final = json.dumps(
    {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "tiny",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "88"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 2, "total_tokens": 62},
    }
)  # fmt: skip


class Ground(Value, frozen=True):
    """Where a run takes place: a folder that goes away, one that stays, and the model servers' ports."""

    folder: Path
    cache: Path
    """The peers' environments."""
    fixed_port: int
    live_port: int

    def origin(self, model: str) -> str:
        return f"http://127.0.0.1:{self.fixed_port if model == FIXED else self.live_port}"

    def base_url(self, model: str) -> str:
        """Where a gateway sends the requests for a model."""
        return f"{self.origin(model)}/{model}/v1"


def request_body(model: str, *, stream: bool, prompt_bytes: int = 0) -> bytes:
    """A chat request; ``prompt_bytes`` of text are added to its prompt."""
    padding = ("The bakery opens at six. " * (prompt_bytes // 25 + 1))[:prompt_bytes]
    question = "A baker bakes 12 trays of 24 rolls and sells 200. How many are left?"
    return json.dumps(
        {
            "model": model,
            "messages": [
                {"role": "system", "content": "Answer the question. Reply with only the final answer."},
                {"role": "user", "content": padding + question},
            ],
            "temperature": 0,
            **({"stream": True} if stream else {}),
        }
    ).encode()
