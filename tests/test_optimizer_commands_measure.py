"""``preceptor eval``, against a real server on loopback."""

from pathlib import Path

from tests.scripted import GOOD_RULE
from tests.shell import Shell, examples, rules_file


async def test_eval_measures_with_and_without_rules(shell: Shell, tmp_path: Path) -> None:
    """The object has what the contract promises."""
    data = examples(tmp_path, 20)
    none = await shell.json("eval", "arithmetic", "--data", data, "--rules", "none")
    assert {"task", "rules", "accuracy", "n", "output_tokens"} <= set(none)
    assert (none["rules"], none["accuracy"], none["n"]) == (None, 0.0, 20)
    await shell("rules import", "arithmetic", rules_file(tmp_path, GOOD_RULE))
    one = await shell.json("eval", "arithmetic", "--data", data, "--rules", "1")
    assert (one["rules"], one["accuracy"]) == (1, 1.0)
    code, text, _ = await shell("eval", "arithmetic", "--data", data)
    assert code == 0
    assert "0.0% right of 20" in text
