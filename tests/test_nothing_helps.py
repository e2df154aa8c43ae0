"""A model that can learn nothing: whatever the strong model proposes, no version is published, and the note says so."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Exchange, Feedback
from gateway.store.memory import MemoryStore
from optimizer.scheduling.learner import open_learner
from tests.fakes import CONFIG, FakeUpstream, services, settings

SYSTEM = "Which phrase has its adjectives in the right order? Reply with A or B."
WORDS = ("old", "red", "big", "wooden", "round", "small", "new", "green", "ugly", "Swiss")
SHEET = {
    "schema": {"type": "object", "properties": {"size_first": {"type": "boolean", "description": "size comes first"}}},
    "decisions": [{"when": "size_first", "result": "A"}, {"when": "", "result": "B"}],
}
RULES = [{"rule": "Opinion comes before size, and size before age.", "reason": "English says so."}]


def phrase(number: int) -> str:
    first, second, third = (WORDS[(number // step) % len(WORDS)] for step in (1, 10, 100))
    return f"A: the {first} {second} {third} thing. B: the {third} {first} {second} thing."


def right(text: str) -> str:
    return "AB"[zlib.crc32(text.encode()) % 2]


def weak(body: dict[str, Any]) -> str:
    """Tosses a coin about each question, with or without help, and fills in no form."""
    return "AB"[zlib.crc32(b"coin" + str(body["messages"][-1]["content"])[:60].encode()) % 2]


def strong(body: dict[str, Any], *, rules: bool) -> str:
    if "decision list" in str(body["messages"][-1]["content"]):
        return json.dumps({"why": "Size.", "worksheet": SHEET})
    return json.dumps(RULES) if rules else "I see no rule."


@pytest.mark.parametrize("rules", [True, False])
async def test_no_version_and_a_plain_sentence(tmp_path: Path, rules: bool) -> None:
    """What was tried, what it got right, and what may be the matter; no riddle about rules alone."""
    store = MemoryStore()
    for number in range(200):
        request = {"model": "gpt-4o-mini", "messages": [
            {"role": "system", "content": SYSTEM}, {"role": "user", "content": phrase(number)}]}  # fmt: skip
        store.record([
            Exchange(
                id=f"x{number}", created=1.0, task="arithmetic", client_model="gpt-4o-mini", model="small", arm="weak",
                rules=None, stream=False, status="ok", http_status=200, audit_rate=1.0,
                request=json.dumps(request).encode(), reply=weak(request),
            )
        ])  # fmt: skip
        for labeller in ("ann", "ben"):
            store.add_feedback(
                Feedback(exchange_id=f"x{number}", created=1.0, expected=right(phrase(number)), labeller=labeller)
            )
    text = CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{tmp_path}"').replace('"numeric"', '"exact"')
    upstream = FakeUpstream(lambda body: strong(body, rules=rules) if body["model"] == "huge-1t" else weak(body))
    made = services(
        settings(f"{text}min_mistakes = 5\nselection_items = 20\nconfirmation_items = 40\nrounds = 2\n"),
        {"mock": upstream}, store, wall_clock=lambda: 1000.0,
    )  # fmt: skip
    async with open_learner(made.learner_context()) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None and store.rule_sets("arithmetic") == [] and not outcome.adopted
    tried = "rules, examples and a worksheet" if rules else "examples and a worksheet"
    assert f"helped: tried were {tried}, and on 20 selection items the best candidate got" in outcome.note
    assert outcome.note.endswith("this model may be too small for the task")
    assert any("worksheet" in entry.what for entry in outcome.rejected)
