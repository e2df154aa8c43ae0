"""``preceptor import``: examples of other tools, and the commands that read their files themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import run
from tests.learning import sums
from tests.scripted import BASE_PROMPT
from tests.shell import Shell

SYSTEM = {"role": "system", "content": BASE_PROMPT}


def written(folder: Path, name: str, *, count: int = 150) -> Path:
    """The same sums as another tool writes them."""
    rows = [(*sums(number), [SYSTEM, {"role": "user", "content": sums(number)[0]}]) for number in range(count)]
    makers: dict[str, Any] = {
        "openai-evals": lambda text, right, asked: {"input": asked, "ideal": str(right)},
        "openai-chat": lambda text, right, asked: {
            "messages": [*asked, {"role": "assistant", "content": str(right)}]
        },
        "langfuse": lambda text, right, asked: {"id": text, "input": {"messages": asked}, "expectedOutput": right},
        "mlflow": lambda text, right, asked: {
            "inputs": {"messages": asked}, "expectations": {"expected_response": str(right)},
        },
        "dspy": lambda text, right, asked: {"question": text, "answer": str(right)},
    }  # fmt: skip
    file = folder / f"{name}.txt"
    if name == "csv":
        file.write_text("question;answer\n" + "".join(f'"{text}";{right}\n' for text, right, _ in rows))
    elif name == "promptfoo":
        tests = "".join(f"  - vars: {{sum: '{text}'}}\n    assert:\n      - {{type: equals, value: {right}}}\n"
                        for text, right, _ in rows)  # fmt: skip
        file.write_text(f"prompts:\n  - '{{{{sum}}}}'\nproviders: [openai]\ntests:\n{tests}")
    else:
        file.write_text("\n".join(json.dumps(makers[name](*row)) for row in rows))
    return file


SOURCES = ("openai-evals", "openai-chat", "langfuse", "mlflow", "dspy", "csv", "promptfoo")


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_of_another_tool_becomes_a_data_file(source: str, tmp_path: Path) -> None:
    """With the format named, and by its keys alone."""
    file, out = written(tmp_path, source, count=9), tmp_path / "out.jsonl"
    for option in (["--from", source], []):
        assert run(["import", "examples", *option, "--out", str(out), str(file)]) == 0
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [line["messages"][-1]["content"] for line in lines] == [sums(number)[0] for number in range(9)]
        assert [str(line["expected"]) for line in lines] == [str(sums(number)[1]) for number in range(9)]
        assert {*lines[0]} <= {"messages", "expected", "id"}


@pytest.mark.parametrize("source", SOURCES)
async def test_distill_reads_the_file_itself(source: str, shell: Shell, tmp_path: Path) -> None:
    """No step between another tool and a verdict."""
    result = await shell.json("distill", "arithmetic", "--data", str(written(tmp_path, source)))
    assert result["verdict"] == "better" and result["after"]["accuracy"] == 1.0


@pytest.mark.parametrize("source", ["openai-chat", "promptfoo"])
async def test_migrate_reads_the_file_itself(source: str, shell: Shell, tmp_path: Path) -> None:
    """As ``distill`` does."""
    result = await shell.json("migrate", "arithmetic", "--data", str(written(tmp_path, source, count=200)))
    assert result["serve"] == "weak + rules"


async def test_what_cannot_be_used_is_named_and_left_out(shell: Shell, tmp_path: Path) -> None:
    """With a task, its grader examines the answers; an example without an answer stays, for ``migrate``."""
    file = tmp_path / "tests.jsonl"
    rows = [{"question": "1 + 1?", "answer": "2"}, {"question": "Why?", "answer": "so"}, {"answer": "7"}]
    file.write_text("\n".join(json.dumps(row) for row in [*rows, {"input": "2 + 2?"}]))
    code, out, err = await shell("import examples", "--task", "arithmetic", str(file))
    assert code == 0 and [json.loads(line).get("expected") for line in out.splitlines()] == ["2", None]
    assert "line 2: expected value 'so' is not a number" in err and "line 3:" in err
    assert "2 examples, 1 of them without a right answer" in err


async def test_a_file_without_a_usable_example_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Also one of another format than the named one."""
    file = tmp_path / "tests.jsonl"
    file.write_text('{"question": "1 + 1?", "answer": "2"}')
    code, _, err = await shell("import examples", "--from", "mlflow", str(file))
    assert code == 1 and "docs/data.md" in err.splitlines()[-1]
