"""``preceptor capacity``, against a real server on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Answer
from tests.learning import STRONG
from tests.scripted import GOOD_RULE
from tests.shell import examples, open_shell, teacher


def crowded(body: dict[str, Any]) -> Answer:
    """Both models; the weak one is right with the good rule alone, or with idle rules up to four."""
    if body["model"] == STRONG:
        idle = [f"Mind the {word} of the question." for word in ("length", "tone", "order", "style", "form", "ending")]
        asked = str(body["messages"][-1]["content"])
        return json.dumps([GOOD_RULE, *idle]) if not asked.startswith("What is") else teacher(body)
    words = body["messages"][-1]["content"].split("?")[0].split()
    rules = str(body["messages"][0]["content"]).count("\n")
    right = int(words[2]) + 2 * int(words[-1])
    return str(right) if (int(words[2]) % 2 and rules < 10) or GOOD_RULE in str(body["messages"]) else "0"


async def test_the_capacity_is_printed_kept_and_honoured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A later distillation tries no more rules together than the model carries."""
    async with open_shell(tmp_path, capsys, crowded) as shell:
        data = examples(tmp_path, 150)
        result = await shell.json("capacity", "arithmetic", "--data", data)
        assert result["rules"] == 4 and result["tried_rules"][-1]["accuracy"] < 0.85
        code, out, _ = await shell("capacity", "arithmetic", "--data", data)
        assert code == 0 and f"it carries {result['rules']} rules" in out and " 4 rules: 100% right" in out
        outcome = await shell.json("distill", "arithmetic", "--data", data)
    assert outcome["adopted"] and max(len(entry["rules"]) for entry in outcome["tried"]) <= result["rules"]
