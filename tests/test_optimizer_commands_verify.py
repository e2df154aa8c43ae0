"""``preceptor verify``, against a real server on loopback."""

from pathlib import Path

import pytest

from tests.scripted import GOOD_RULE
from tests.shell import Shell, examples, rules_file


@pytest.mark.parametrize(
    ("rule", "verdict", "adopted"), [(GOOD_RULE, "better", True), ("Be nice.", "cannot tell", False)]
)
async def test_verify_is_the_gate_alone(shell: Shell, tmp_path: Path, rule: str, verdict: str, adopted: bool) -> None:
    """For rules from anywhere; nothing is published."""
    data, rules = examples(tmp_path, 40), rules_file(tmp_path, rule)
    result = await shell.json("verify", "arithmetic", "--data", data, "--rules", rules)
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
    actual, _, err = await shell("verify", "arithmetic", "--data", examples(tmp_path, 20), *arguments)
    assert actual == code
    assert len(err.splitlines()) == 1
