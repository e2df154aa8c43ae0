"""``preceptor distill``, against a real server on loopback."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Answer
from tests.learning import STRONG
from tests.scripted import GOOD_RULE
from tests.shell import Shell, examples, open_shell, teacher


async def test_distill_ends_with_the_object_of_the_contract(shell: Shell, tmp_path: Path) -> None:
    """Scripts read its last line; the detectable effect and the cost are said before anything is spent."""
    code, out, err = await shell("distill", "arithmetic", "--data", examples(tmp_path, 150), "--activate")
    assert code == 0
    assert "gains from" in err and "tokens, $" in err
    result = await shell.json("distill", "arithmetic", "--data", examples(tmp_path, 200))
    wanted = {"task", "verdict", "adopted", "fixed", "broken", "items_used", "p_value", "before", "after"}
    assert wanted <= set(result)
    assert "arithmetic: right answers 0% -> 100% on 20 unseen examples" in out


async def test_a_rule_set_that_passed_goes_live_if_asked_to(shell: Shell, tmp_path: Path) -> None:
    """With ``--activate``; without, it is stored with its evidence and waits."""
    data = examples(tmp_path, 150)
    first = await shell.json("distill", "arithmetic", "--data", data)
    assert (first["verdict"], first["adopted"], first["activated"]) == ("better", True, False)
    assert "none is active" in (await shell("rules list", "arithmetic"))[1]
    second = await shell.json("distill", "arithmetic", "--data", data, "--activate")
    assert (second["version"], second["activated"]) == (1, True)


async def test_distill_again_pays_nothing_and_publishes_nothing_new(shell: Shell, tmp_path: Path) -> None:
    """The same command on the same data takes every answer from the cache and finds the same version."""
    data = examples(tmp_path, 150)
    first = await shell.json("distill", "arithmetic", "--data", data)
    asked = len(shell.asked)
    again = await shell.json("distill", "arithmetic", "--data", data)
    assert first["calls"] > 0
    assert (again["calls"], len(shell.asked)) == (0, asked)
    assert (again["verdict"], again["version"]) == (first["verdict"], first["version"]) == ("better", 1)


async def test_what_confirmed_the_live_rules_confirms_nothing_again(shell: Shell, tmp_path: Path) -> None:
    """On those examples the live rules look better than they are."""
    data = examples(tmp_path, 150)
    first = await shell.json("distill", "arithmetic", "--data", data, "--activate")
    again = await shell.json("distill", "arithmetic", "--data", data)
    assert first["spent"]
    assert not set(first["spent"]) & set(again["spent"])


async def test_the_report_is_one_file(shell: Shell, tmp_path: Path) -> None:
    """And the command that made it stands in it."""
    report = tmp_path / "report.html"
    code, _, err = await shell(
        "distill", "arithmetic", "--data", examples(tmp_path, 150), "--report", str(report), "--json"
    )  # fmt: skip
    assert code == 0 and f"report: {report}" in err
    text = report.read_text()
    assert "Always handle the doubled part before you add." in text
    assert "preceptor distill arithmetic --data" in text


async def test_a_report_that_could_not_be_written_is_said_before_the_work(shell: Shell, tmp_path: Path) -> None:
    """Not after an hour of it."""
    code, _, err = await shell(
        "distill", "arithmetic", "--data", examples(tmp_path, 150), "--report", str(tmp_path / "no" / "r.html")
    )
    assert code == 1 and "no folder" in err
    assert not shell.asked


async def test_a_dead_upstream_ends_distill_with_one_line(shell: Shell, tmp_path: Path) -> None:
    """It says that the command may be run again."""
    text = shell.config.read_text()
    start = text.index('base_url = "') + len('base_url = "')
    shell.config.write_text(text[:start] + "http://127.0.0.1:9/v1" + text[text.index('"', start) :])
    code, _, err = await shell("distill", "arithmetic", "--data", examples(tmp_path, 150))
    assert code == 1
    assert "run the same command again" in err.splitlines()[-1]


async def test_an_operators_prompt_is_asked_and_an_edit_asks_again(shell: Shell, tmp_path: Path) -> None:
    """The answer to another question is not taken from the cache."""
    folder, data = tmp_path / "prompts", examples(tmp_path, 150)
    folder.mkdir()
    shell.config.write_text(shell.config.read_text() + f'prompts_dir = "{folder}"\n')
    for words in ("Find the house rules.", "Find the unwritten rules."):
        asked = len(shell.asked)
        (folder / "procedure.md").write_text(words + " {{instruction}} {{mistakes}} {{manner}} {{successes}} {{form}}")
        assert (await shell.json("distill", "arithmetic", "--data", data))["verdict"] == "better"
        assert any(words in str(body["messages"]) for body in shell.asked[asked:])
    (folder / "procedure.md").write_text("Find the rules.")
    code, _, err = await shell("distill", "arithmetic", "--data", data)
    assert code == 1 and "procedure.md" in err and "{{mistakes}} is missing" in err


async def test_a_rule_that_was_ahead_and_unproven_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run on the same examples is another run: it begins where the first ended."""

    def clerk(body: dict[str, Any]) -> Answer:
        text = str(body["messages"][-1]["content"])
        if body["model"] != STRONG and int(text.split("?")[0].split()[2]) % 8:
            return "0"  # a rule helps with an eighth of the questions only
        return teacher(body)

    async with open_shell(tmp_path, capsys, clerk) as shell:
        data = examples(tmp_path, 150)
        first = await shell.json("distill", "arithmetic", "--data", data)
        assert not first["adopted"] and first["fixed"] > first["broken"]
        asked = len(shell.asked)
        await shell.json("distill", "arithmetic", "--data", data)
        texts = [str(body["messages"]) for body in shell.asked[asked:] if body["model"] == STRONG]
    assert any("unproven" in text and GOOD_RULE in text for text in texts)


@pytest.mark.parametrize("content", ["", "nonsense\n", '{"input": "x"}\n', "[1]\n"])
async def test_data_without_a_usable_example_is_refused(shell: Shell, tmp_path: Path, content: str) -> None:
    """One line that shows the form."""
    file = tmp_path / "bad.jsonl"
    file.write_text(content)
    code, _, err = await shell("distill", "arithmetic", "--data", str(file))
    assert code == 1
    assert "expected" in err.splitlines()[-1]
