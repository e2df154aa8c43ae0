"""What passes by a judge's word goes live only if the judge was held against people's verdicts, and passed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Exchange, Feedback
from tests.fakes import Answer
from tests.learning import STRONG, sums
from tests.scripted import GOOD_RULE, Judge
from tests.shell import Shell, examples, open_shell, rules_file, teacher

pytestmark = pytest.mark.drill


@pytest.fixture
def judge() -> Judge:
    """It sees what people see: the number must be right."""
    return Judge(lambda reply, reference: reply.split()[-1] == reference.split()[-1])


@pytest.fixture
async def court(tmp_path: Path, capsys: pytest.CaptureFixture[str], judge: Judge) -> AsyncIterator[Shell]:
    """A shell whose task is graded by a judge, the strong model itself."""

    def script(body: dict[str, Any]) -> Answer:
        judging = body["model"] == STRONG and "tags that end in" in str(body["messages"])
        return judge.reply(body, None)[0] if judging else teacher(body)

    async with open_shell(tmp_path, capsys, script) as opened:
        opened.config.write_text(opened.config.read_text().replace('"numeric"', '"judge"'))
        yield opened


def rate(shell: Shell, count: int) -> None:
    """People called half of the log's replies right."""
    store = shell.store()
    for number in range(count):
        text, right = sums(number)
        request = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
        correct = bool(number % 2)
        store.record([
            Exchange(
                id=f"r{number}", created=1.0, task="arithmetic", client_model="gpt-4o", model="small", arm="weak",
                rules=None, stream=False, status="ok", http_status=200, request=json.dumps(request).encode(),
                reply=f"It is {right if correct else 1}",
            )
        ])  # fmt: skip
        store.add_feedback(Feedback(exchange_id=f"r{number}", created=2.0, correct=correct, expected=str(right)))
    store.close()


def labels(folder: Path) -> str:
    """A file of replies that people rated."""
    file = folder / "labels.jsonl"
    lines = [
        {"input": f"question {number}", "expected": "Yes.", "correct": number < 15,
         "reply": f"{'I say Yes.' if number < 15 else 'I say no.'}"}
        for number in range(30)
    ]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, lines)))
    return str(file)


async def test_without_a_calibration_a_person_decides(court: Shell, tmp_path: Path) -> None:
    """The rules are stored with their evidence, and do not go live; the note says how to lift that."""
    outcome = await court.json("distill", "arithmetic", "--data", examples(tmp_path, 150), "--activate")
    assert (outcome["verdict"], outcome["adopted"], outcome["activated"]) == ("better", True, False)
    assert "never held against people's verdicts" in outcome["note"] and "--calibrate" in outcome["note"]
    assert court.store().active() == {}


@pytest.mark.parametrize("by", ["file", "log"])
async def test_a_judge_that_agrees_with_people_decides(by: str, court: Shell, tmp_path: Path) -> None:
    """Calibrated by hand, or by the verdicts in the log without a further word."""
    if by == "file":
        assert (await court("eval", "arithmetic", "--data", labels(tmp_path), "--calibrate"))[0] == 0
    else:
        rate(court, 40)
    outcome = await court.json("distill", "arithmetic", "--data", examples(tmp_path, 150), "--activate")
    assert (outcome["adopted"], outcome["activated"]) == (True, True)


async def test_a_judge_that_contradicts_people_decides_nothing(court: Shell, judge: Judge, tmp_path: Path) -> None:
    """Before anything else is paid for. Other criteria make another judge."""
    judge.favours = "A"
    rate(court, 40)
    data = examples(tmp_path, 150)
    outcome = await court.json("distill", "arithmetic", "--data", data, "--activate")
    assert not outcome["adopted"] and "may not decide" in outcome["note"]
    asked = len(court.asked)
    for command in ("migrate", "rules import"):
        file = [rules_file(tmp_path, GOOD_RULE)] if command == "rules import" else []
        code, _, err = await court(command, "arithmetic", *file, "--data", data)
        assert code == 1 and "may not decide" in err.splitlines()[-1]
    assert len(court.asked) == asked
    judge.favours = ""
    text = court.config.read_text()
    court.config.write_text(text.replace('kind = "judge"', 'kind = "judge", criteria = "The number."'))
    assert (await court.json("distill", "arithmetic", "--data", data, "--activate"))["activated"]


async def test_a_judge_that_never_answers_cannot_grade(court: Shell, judge: Judge, tmp_path: Path) -> None:
    """The model is not 0% right: nobody has looked."""
    judge.garbled = lambda verdict: "Both are lovely."
    for count, *command in ((3, "eval"), (12, "eval"), (30, "verify", "--rules", "none"), (150, "migrate")):
        code, out, err = await court(str(command[0]), "arithmetic", "--data", examples(tmp_path, count), *command[1:])
        assert code == 1 and "cannot grade" in err.splitlines()[-1] and "%" not in out, command
    outcome = await court.json("distill", "arithmetic", "--data", examples(tmp_path, 150))
    assert outcome["note"].startswith("cannot grade: the grader came to no verdict") and not outcome["resumable"]
