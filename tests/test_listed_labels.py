"""The labels that an operator lists (``tasks.NAME.labels``) reach the lint of rules, whoever begins the cycle.

With 60 labels in 150 examples most are too seldom to be told from a user's own answer: rules that name them are refused
unless the operator lists them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Exchange, Feedback
from tests.fakes import Answer
from tests.learning import STRONG
from tests.shell import Shell, open_shell

pytestmark = pytest.mark.drill

SYSTEM = "Send the ticket to a desk. Reply with the desk's name only."
CONSONANTS, VOWELS = "bdfgklmnprst", "aeiou"
NAMES = [first + vowel + CONSONANTS[-place % 12] + "on" for place, first in enumerate(CONSONANTS) for vowel in VOWELS]
WORDS, DESKS = NAMES, [name.capitalize() + " desk" for name in reversed(NAMES)]
DESK_OF = dict(zip(WORDS, DESKS, strict=True))
RULES = [
    "A lost " + ", a lost ".join(f"{word}: {DESK_OF[word]}" for word in WORDS[start : start + 8]) + "."
    for start in range(0, 60, 8)
]


def ticket(number: int) -> tuple[dict[str, Any], str]:
    """A request of a user, and its desk."""
    word = WORDS[number % 60]
    text = f"{WORDS[(number * 7 + number // 60) % 60]} {1000 + 37 * number} {WORDS[number // 3]}: my {word} is gone"
    return {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]}, DESK_OF[word]


def office(body: dict[str, Any]) -> Answer:
    """The weak model knows the desks that its rules name; the strong one knows them all."""
    text = str(body["messages"][-1]["content"])
    if body["model"] == STRONG:
        if ": my " in text and "\n" not in text:
            return DESK_OF[text.split(": my ")[1].split()[0]]
        return "The desks follow the object.\n" + json.dumps([{"rule": rule, "reason": "So."} for rule in RULES])
    word = text.split(": my ")[1].split()[0] if ": my " in text else ""
    named = f"lost {word}: {DESK_OF.get(word)}" in json.dumps(body["messages"][:-1])
    return DESK_OF[word] if named else "Front desk"


def list_labels(shell: Shell) -> None:
    """Write the desks into the configuration."""
    text = shell.config.read_text().replace('kind = "numeric"', 'kind = "exact"')
    shell.config.write_text(text.replace("[optimizer]", f"labels = {json.dumps(DESKS)}\n[optimizer]"))


def fill(shell: Shell) -> None:
    """Graded traffic of the weak model."""
    store = shell.store()
    for number in range(150):
        request, desk = ticket(number)
        store.record([
            Exchange(
                id=f"x{number}", created=1.0, task="arithmetic", client_model="small", model="small", arm="weak",
                rules=None, stream=False, status="ok", http_status=200, audit_rate=1.0,
                request=json.dumps(request).encode(), reply="Front desk",
            )
        ])  # fmt: skip
        store.add_feedback(Feedback(exchange_id=f"x{number}", created=1.0, expected=desk))
    store.close()


def examples(folder: Path) -> str:
    """A data file of the same tickets."""
    file = folder / "tickets.jsonl"
    lines = [json.dumps(request | {"expected": desk}) for request, desk in map(ticket, range(150))]
    file.write_text("\n".join(lines))
    return str(file)


@pytest.mark.parametrize("command", ["distill", "migrate", "optimize"])
async def test_rules_may_name_the_labels_that_the_operator_lists(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In ``distill``, in ``migrate`` and in a scheduled cycle alike."""
    async with open_shell(tmp_path, capsys, office) as shell:
        list_labels(shell)
        if command == "optimize":
            fill(shell)
            code, _, err = await shell("optimize", "--once")
        else:
            code, _, err = await shell(command, "arithmetic", "--data", examples(tmp_path), "--activate")
        assert code == 0, err
        live = shell.store().active()["arithmetic"]
    assert len(live.rules) > 4 and any(DESKS[0] in rule.text for rule in live.rules)


async def test_rules_that_name_unlisted_answers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They may be what a single user was answered."""
    async with open_shell(tmp_path, capsys, office) as shell:
        list_labels(shell)
        text = shell.config.read_text()
        shell.config.write_text(text.replace(f"labels = {json.dumps(DESKS)}\n", ""))
        outcome = await shell.json("distill", "arithmetic", "--data", examples(tmp_path))
    assert not outcome["adopted"]
    assert any("expected answer" in entry["why"] for entry in outcome["rejected"])
