"""``distill``, ``eval``, ``verify`` and ``optimize``, against a real server on loopback."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import run
from gateway.store.sql import SqlStore
from tests.fakes import raw_server
from tests.learning import EXTRA, answer_over_http, fill, script, sums
from tests.scripted import BASE_PROMPT, GOOD_RULE

Shell = Callable[..., Any]


@pytest.fixture
async def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Shell]:
    """Runs a command against a scripted upstream; gives its exit code, its output and its errors."""
    async with raw_server(functools.partial(answer_over_http, script=script())) as address:
        config = tmp_path / "preceptor.toml"
        config.write_text(
            f'[server]\ndata_dir = "{tmp_path}"\n[upstreams.u]\nkind = "openai"\nbase_url = "{address}"\n'
            '[models.small]\nupstream = "u"\nmodel = "tiny-1b"\n[models.large]\nupstream = "u"\nmodel = "huge-1t"\n'
            '[tasks.arithmetic]\nweak = "small"\nstrong = "large"\ngrader = { kind = "numeric" }\n[optimizer]' + EXTRA
        )

        async def command(name: str, *rest: str) -> tuple[int, str, str]:
            code = await asyncio.to_thread(run, [*name.split(), "-c", str(config), *rest])
            captured = capsys.readouterr()
            return code, captured.out, captured.err

        yield command


def examples(folder: Path, count: int) -> str:
    file = folder / "examples.jsonl"
    with file.open("w") as out:
        for number in range(count):
            text, expected = sums(number)
            messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
            out.write(json.dumps({"messages": messages, "expected": expected, "note": "kept"}) + "\n")
    return str(file)


def rules_file(folder: Path, text: str) -> str:
    file = folder / "rules.json"
    file.write_text(json.dumps({"task": "arithmetic", "rules": [{"text": text, "reason": "test"}]}))
    return str(file)


async def test_distill_ends_with_the_object_of_the_contract(shell: Shell, tmp_path: Path) -> None:
    """Scripts read its last line; the detectable effect is said before anything is spent."""
    code, out, err = await shell(
        "distill", "arithmetic", "--data", examples(tmp_path, 150), "--json", "--activate"
    )  # fmt: skip
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    wanted = {"task", "verdict", "adopted", "fixed", "broken", "items_used", "p_value", "before", "after"}
    assert wanted <= set(result)
    assert (result["verdict"], result["adopted"], result["activated"]) == ("better", True, True)
    assert "gains from" in err


async def test_distill_without_activate_leaves_the_switch_to_a_person(shell: Shell, tmp_path: Path) -> None:
    """The rule set is stored with its evidence and waits."""
    await shell("distill", "arithmetic", "--data", examples(tmp_path, 150))
    _, out, _ = await shell("rules list", "arithmetic")
    assert "none is active" in out
    assert "better" in out


async def test_distill_again_pays_nothing(shell: Shell, tmp_path: Path) -> None:
    """The same command on the same data takes every answer from the cache."""
    data = examples(tmp_path, 150)
    first = json.loads((await shell("distill", "arithmetic", "--data", data, "--json"))[1])
    again = json.loads((await shell("distill", "arithmetic", "--data", data, "--json"))[1])
    assert first["calls"] > 0
    assert again["calls"] == 0
    assert again["verdict"] == first["verdict"]


async def test_eval_measures_with_and_without_rules(shell: Shell, tmp_path: Path) -> None:
    """The object has what the contract promises."""
    data = examples(tmp_path, 20)
    none = json.loads((await shell("eval", "arithmetic", "--data", data, "--rules", "none", "--json"))[1])
    assert {"task", "rules", "accuracy", "n", "output_tokens"} <= set(none)
    assert (none["rules"], none["accuracy"], none["n"]) == (None, 0.0, 20)
    await shell("rules import", "arithmetic", rules_file(tmp_path, GOOD_RULE))
    one = json.loads((await shell("eval", "arithmetic", "--data", data, "--rules", "1", "--json"))[1])
    assert (one["rules"], one["accuracy"]) == (1, 1.0)
    code, text, _ = await shell("eval", "arithmetic", "--data", data)
    assert code == 0
    assert "0.0% right of 20" in text


@pytest.mark.parametrize(
    ("rule", "verdict", "adopted"), [(GOOD_RULE, "better", True), ("Be nice.", "cannot tell", False)]
)
async def test_verify_is_the_gate_alone(shell: Shell, tmp_path: Path, rule: str, verdict: str, adopted: bool) -> None:
    """For rules from anywhere; nothing is published."""
    code, out, _ = await shell(
        "verify", "arithmetic", "--data", examples(tmp_path, 40), "--rules", rules_file(tmp_path, rule), "--json"
    )  # fmt: skip
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert (result["verdict"], result["adopted"]) in [(verdict, adopted), ("non-inferior", False)]
    assert "no rule sets yet" in (await shell("rules list", "arithmetic"))[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--rules", "nowhere.json"], 2),
        (["--rules", "9"], 1),
        (["--rules", "none", "--against", "nowhere"], 2),
    ],
)
async def test_rules_that_are_not_there_are_one_line(
    shell: Shell, tmp_path: Path, arguments: list[str], code: int
) -> None:
    """Before any model is called."""
    found, _, err = await shell("verify", "arithmetic", "--data", examples(tmp_path, 20), *arguments)
    assert found == code
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("content", ["", "nonsense\n", '{"input": "x"}\n', "[1]\n"])
async def test_data_without_a_usable_example_is_refused(shell: Shell, tmp_path: Path, content: str) -> None:
    """One line that shows the form."""
    file = tmp_path / "bad.jsonl"
    file.write_text(content)
    code, _, err = await shell("eval", "arithmetic", "--data", str(file))
    assert code == 1
    assert "expected" in err.splitlines()[-1]


async def test_a_dead_upstream_ends_distill_with_one_line(shell: Shell, tmp_path: Path) -> None:
    """It says that the command may be run again."""
    config = tmp_path / "preceptor.toml"
    text = config.read_text()
    start = text.index('base_url = "') + len('base_url = "')
    config.write_text(text[:start] + "http://127.0.0.1:9/v1" + text[text.index('"', start) :])
    code, _, err = await shell("distill", "arithmetic", "--data", examples(tmp_path, 150))
    assert code == 1
    assert "run the same command again" in err.splitlines()[-1]


async def test_optimize_once_learns_from_recorded_traffic(shell: Shell, tmp_path: Path) -> None:
    """The optimizer on its own, beside gateways that do not learn."""
    store = SqlStore.open(tmp_path)
    fill(store, 150)
    code, _, _ = await shell("optimize", "--once")
    assert code == 0
    assert store.active()["arithmetic"].decided_by == "cycle"
    store.close()
