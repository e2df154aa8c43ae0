"""The demo from its first scene to its last, against a scripted model on a real socket."""

import asyncio
import functools
import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import PreceptorError
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from optimizer.demo.phrases import phrases
from optimizer.demo.play import Played, play
from optimizer.demo.problems import problems
from optimizer.demo.report import as_json, as_text, changes
from optimizer.demo.scenarios import SEED, spoken_phrases, word_problems
from tests.learning import answer_over_http

ITEMS = 20
PHRASES = {phrase.question: str(phrase.answer) for phrase in islice(phrases(SEED), 200)}
ANSWERS = {problem.question: problem.answer for problem in islice(problems(SEED), 200)}


def model(body: dict[str, Any], rules: str = '[{"rule": "Work in steps.", "reason": "It guessed."}]') -> str:
    """Guesses, unless a rule has it work, room or no room; as a teacher it writes that rule."""
    first, last = body["messages"][0]["content"], body["messages"][-1]["content"]
    if "Step 2: Write" in last:
        return rules
    question, _, working = last.partition("\n\nWorking:\n")
    if working:
        return str(working.rsplit(" ", 1)[-1])
    if OPEN_TAG in first and "Work in steps." not in first:
        return f"{OPEN_TAG}A guess{CLOSE_TAG}1"
    if OPEN_TAG in first:
        return f"{OPEN_TAG}First 1, then 2{CLOSE_TAG}{ANSWERS[question]}"
    if "Work in steps." in first:
        return f"First 1, then 2, so it is {ANSWERS[question]}"
    return "1"


async def played(folder: Path, script: Any, say: Callable[[str], None] = print) -> Played:
    async with loopback_server(functools.partial(answer_over_http, script=script)) as address:
        upstream = f'kind = "openai"\nbase_url = "{address}"\n'
        scenario = word_problems(folder, "scripted", ITEMS, upstream=upstream, pause_s=0.05)
        return await play(folder, scenario, lambda: SqlStore.open(folder), say, lambda stage, done, total: None)


@pytest.mark.drill
async def test_the_loop_runs_and_its_report_says_what_happened(tmp_path: Path) -> None:
    """Guesses become answers through a rule that the scheduler's cycle found, while a client keeps streaming."""
    said = list[str]()
    result = await played(tmp_path, model, said.append)
    assert said[1].startswith(f"0 of {ITEMS} problems right") and len(said) == 5  # each scene begins with a line
    assert not any(result.before.right) and all(result.after.right)
    assert (changes(result).fixed, changes(result).broken) == (ITEMS, 0)
    assert {reply.rules for reply in result.before.replies} == {"none"}
    assert {reply.rules for reply in result.after.replies} == {"1"}
    assert result.versions_streamed == ("none", "1") and result.dropped == 0 == result.restarts
    shown = json.loads(json.dumps(as_json(result)))
    assert {"task", "before", "after", "rules", "verdict", "fixed", "broken", "minutes", "swap"} <= set(shown)
    assert {"accuracy", "n", "output_tokens"} <= set(shown["before"]) & set(shown["after"])
    assert shown["rules"] == ["Work in steps."] and shown["verdict"] == "better"
    assert shown["swap"]["dropped_requests"] == shown["swap"]["restarts"] == 0
    page = as_text(result)
    assert "Work in steps." in page and "One small model played both roles" in page and "base_url" in page


def imitator(body: dict[str, Any]) -> str:
    """Writes a phrase as an example of the same kind shows it, and repeats the phrase without one; teaches nothing."""
    last = body["messages"][-1]["content"]
    if body["model"] == "strong":
        return '[{"rule": "Write down the question first.", "reason": "It sounds sensible."}]'
    wanted = PHRASES.get(last)
    shown = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
    kind = re.sub(r"\d", "", wanted or "")[-3:]
    return wanted if wanted and any(re.sub(r"\d", "", text)[-3:] == kind for text in shown) else str(last)


@pytest.mark.drill
async def test_corrections_alone_teach_by_example(tmp_path: Path) -> None:
    """The strong model has nothing to say; the report says that the examples helped."""
    async with loopback_server(functools.partial(answer_over_http, script=imitator)) as address:
        upstream = f'kind = "openai"\nbase_url = "{address}"\n'
        scenario = spoken_phrases(tmp_path, "weak", "strong", ITEMS, upstream=upstream, teacher=upstream, pause_s=0.05)
        result = await play(tmp_path, scenario, lambda: SqlStore.open(tmp_path), print, lambda stage, done, total: None)
    assert not any(result.before.right) and sum(result.after.right) > ITEMS / 2
    assert result.rule_set is not None and result.rule_set.examples and not result.rule_set.rules
    assert as_json(result)["helped"]["examples"] > 0.5 and "What helped" in as_text(result)


@pytest.mark.drill
async def test_a_teacher_that_writes_nonsense_changes_nothing(tmp_path: Path) -> None:
    """The demo ends all the same, and says why no rule set went live."""
    result = await played(tmp_path, functools.partial(model, rules="banana the of and"))
    assert result.rule_set is None and result.before.right == result.after.right
    assert as_json(result)["rules"] == []
    assert "no usable rule" in as_text(result)


async def test_a_gateway_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    """It names the log."""
    with pytest.raises(PreceptorError, match=r"gateway\.log"):
        async with asyncio.timeout(60):
            await play(
                tmp_path, word_problems(tmp_path, "nowhere.gguf", ITEMS), lambda: SqlStore.open(tmp_path),
                lambda line: None, lambda stage, done, total: None,
            )  # fmt: skip
