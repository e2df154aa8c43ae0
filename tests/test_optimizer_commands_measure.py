"""``preceptor eval``, against a real server on loopback."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain import Exchange, Feedback
from optimizer.evaluation.judge_calibration import Calibration
from tests.learning import STRONG, weak_reply
from tests.scripted import GOOD_RULE, Judge
from tests.shell import Shell, examples, open_shell, rules_file


async def test_eval_measures_with_and_without_rules(shell: Shell, tmp_path: Path) -> None:
    """The object has what the contract promises."""
    data = examples(tmp_path, 20)
    none = await shell.json("eval", "arithmetic", "--data", data, "--rules", "none")
    assert {"task", "rules", "accuracy", "n", "output_tokens"} <= set(none)
    assert (none["rules"], none["accuracy"], none["n"]) == (None, 0.0, 20)
    await shell("rules import", "arithmetic", rules_file(tmp_path, GOOD_RULE))
    item = await shell.json("eval", "arithmetic", "--data", data, "--rules", "1")
    assert (item["rules"], item["accuracy"]) == (1, 1.0)
    code, text, _ = await shell("eval", "arithmetic", "--data", data)
    assert code == 0
    assert "0.0% right of 20" in text


async def test_labels_of_a_model_are_told_to_be_such(shell: Shell, tmp_path: Path) -> None:
    """In the text, and as a field."""
    data = examples(tmp_path, 20)
    assert (await shell.json("eval", "arithmetic", "--data", data))["reference"] == ""
    _, text, _ = await shell("eval", "arithmetic", "--data", said_by(data, "large"))
    assert "20 of 20 expected answers are large's own: on them quality means agreement with large" in text


def said_by(data: str, model: str) -> str:
    """The same file, whose labels are a model's."""
    file = Path(data)
    lines = [json.dumps(json.loads(line) | {"labelled_by": model}) for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines))
    return data


async def test_measuring_needs_data(shell: Shell) -> None:
    """Wrong usage."""
    code, _, err = await shell("eval", "arithmetic")
    assert code == 2 and "--data" in err


@pytest.fixture
def judge() -> Judge:
    """One that sees what people see: a right reply says yes."""
    return Judge(lambda reply, reference: reply.startswith("yes"))


@pytest.fixture
async def court(tmp_path: Path, capsys: pytest.CaptureFixture[str], judge: Judge) -> AsyncIterator[Shell]:
    """A shell whose task is graded by a judge."""

    def script(body: dict[str, object]) -> str:
        return judge.reply(body, None)[0] if body["model"] == STRONG else weak_reply(body)

    async with open_shell(tmp_path, capsys, script) as opened:
        opened.config.write_text(opened.config.read_text().replace('"numeric"', '"judge"'))
        yield opened


def labels(folder: Path, right: int = 20, wrong: int = 15) -> str:
    """A file of replies that people rated."""
    file = folder / "labels.jsonl"
    lines = [
        {"input": f"question {number}", "expected": "Yes.", "correct": number < right,
         "reply": f"{'yes' if number < right else 'no'} {number}"}
        for number in range(right + wrong)
    ]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, [*lines, {"input": "x", "expected": "y"}])))
    return str(file)


async def test_a_judge_that_agrees_with_people_is_trusted(court: Shell, tmp_path: Path) -> None:
    """One object, or one line; what could not be read is said."""
    result = await court.json("eval", "arithmetic", "--data", labels(tmp_path), "--calibrate")
    assert {"n", "kappa", "interval", "agreement", "detectable", *Calibration.__struct_fields__} <= set(result)
    assert (result["judge"], result["trusted"], result["n"], result["left_out"]) == ("large", True, 35, 1)
    code, out, err = await court("eval", "arithmetic", "--data", labels(tmp_path), "--calibrate")
    assert code == 0 and result["note"] in out and "kappa 1.00" in out and "line 36" in err


async def test_a_judge_that_is_not_to_be_trusted_fails(court: Shell, judge: Judge, tmp_path: Path) -> None:
    """So that a script stops there; the numbers are told all the same."""
    judge.favours = "A"
    code, out, _ = await court("eval", "arithmetic", "--data", labels(tmp_path), "--calibrate")
    assert code == 1 and "do not decide by it" in out
    code, out, _ = await court("eval", "arithmetic", "--data", labels(tmp_path), "--calibrate", "--json")
    assert code == 1 and json.loads(out)["trusted"] is False


async def test_without_a_file_the_judge_is_held_against_feedback(court: Shell) -> None:
    """Where somebody said both whether the reply was right and what is right."""
    store = court.store()
    for number in range(30):
        request = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"question {number}"}]}
        store.record([
            Exchange(
                id=f"x{number}", created=1.0, task="arithmetic", client_model="gpt-4o", model="small", arm="weak",
                rules=None, stream=False, status="ok", http_status=200, request=json.dumps(request).encode(),
                reply=f"{'yes' if number % 2 else 'no'} {number}",
            )
        ])  # fmt: skip
        correct = bool(number % 2)
        store.add_feedback(Feedback(exchange_id=f"x{number}", created=2.0, correct=correct, expected="Yes."))
    store.close()
    result = await court.json("eval", "arithmetic", "--calibrate")
    assert (result["n"], result["kappa"]) == (30, 1.0)


async def test_what_cannot_be_calibrated_says_so(court: Shell, tmp_path: Path) -> None:
    """Too few labels, another grader, and rules, which have no part in it."""
    code, _, err = await court("eval", "arithmetic", "--data", labels(tmp_path, right=3), "--calibrate")
    assert code == 1 and "10 of each are needed" in err.splitlines()[-1] and not court.asked
    assert (await court("eval", "arithmetic", "--calibrate", "--rules", "none"))[0] == 2
    text = court.config.read_text()
    court.config.write_text(text.replace('"judge"', '"numeric"'))
    code, _, err = await court("eval", "arithmetic", "--data", labels(tmp_path), "--calibrate")
    assert code == 1 and "only a judge can be calibrated, and this one is 'numeric'" in err


async def test_what_could_not_be_graded_is_counted_in_words(court: Shell, judge: Judge, tmp_path: Path) -> None:
    """It counts as wrong, and that must be known."""
    clear, asked = judge.garbled, iter(range(99))
    judge.garbled = lambda verdict: clear(verdict) if next(asked) < 2 else "Both are lovely."
    _, text, _ = await court("eval", "arithmetic", "--data", examples(tmp_path, 12))
    assert "10 of them could not be graded and count as wrong" in text
