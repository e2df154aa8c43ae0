"""``preceptor rules``: versions, the live one, and the way back."""

import json
from pathlib import Path

import pytest

from gateway.cli import run

RULES = {"task": "arithmetic", "scratchpad": "two_pass", "rules": [{"text": "Add carefully.", "reason": "It forgot."}]}


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "preceptor.toml"
    file.write_text(
        f'[server]\ndata_dir = "{tmp_path / "data"}"\n[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[models.m]\nupstream = "u"\nmodel = "x"\n[tasks.arithmetic]\nweak = "m"\nstrong = "m"\n'
    )
    return str(file)


def imported(config: str, tmp_path: Path, content: object = RULES) -> int:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(content))
    return run(["rules", "import", "-c", config, "arithmetic", str(file)])


def test_an_imported_rule_set_is_not_live_until_it_is_activated(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Importing changes no request."""
    assert imported(config, tmp_path) == 0
    run(["rules", "list", "-c", config, "arithmetic"])
    assert "none is active" in capsys.readouterr().out
    assert run(["rules", "activate", "-c", config, "arithmetic", "1"]) == 0
    capsys.readouterr()
    run(["rules", "list", "--json", "-c", config, "arithmetic"])
    assert json.loads(capsys.readouterr().out)["active"] == 1


def test_an_export_can_be_imported_again(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says more than an import needs: version, parent, hash and evidence."""
    imported(config, tmp_path)
    capsys.readouterr()
    assert run(["rules", "export", "-c", config, "arithmetic", "1"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert {"version", "parent", "hash", "evidence"} <= set(exported)
    assert imported(config, tmp_path, exported) == 0
    capsys.readouterr()
    run(["rules", "diff", "-c", config, "arithmetic", "1", "2"])
    assert capsys.readouterr().out == "version 1 and version 2 are the same\n"


def test_plain_text_goes_out_and_comes_in(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The injected text, and a file with a rule on each line."""
    imported(config, tmp_path)
    capsys.readouterr()
    assert run(["rules", "export", "-c", config, "arithmetic", "1", "--text"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("1. Add carefully.\n") and text.startswith("Rules.")
    file = tmp_path / "rules.txt"
    file.write_text(text + "- Subtract carefully.\n")
    assert run(["rules", "import", "-c", config, "arithmetic", str(file)]) == 0
    capsys.readouterr()
    assert run(["rules", "export", "-c", config, "arithmetic", "2"]) == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert [rule["text"] for rule in rules] == ["Add carefully.", "Subtract carefully."]


def test_show_and_diff_say_what_a_version_holds(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules are read as text, changes as a diff."""
    imported(config, tmp_path)
    imported(config, tmp_path, {"rules": [{"text": "Subtract carefully."}]})
    capsys.readouterr()
    run(["rules", "show", "-c", config, "arithmetic", "1"])
    assert "because: It forgot." in capsys.readouterr().out
    run(["rules", "diff", "-c", config, "arithmetic", "1", "2"])
    assert {"-Add carefully.", "+Subtract carefully."} <= set(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("content", [[], {"rules": [{}]}, {"rules": [{"text": " "}]}, {"task": "other", "rules": []}])
def test_a_file_that_is_no_rule_set_is_refused(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    """One line, and nothing is stored."""
    assert imported(config, tmp_path, content) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    run(["rules", "list", "-c", config, "arithmetic"])
    assert "no rule sets yet" in capsys.readouterr().out


def test_rollback_makes_the_version_before_live_again(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 -> 1 -> no rules, and then there is nothing left to roll back."""
    for version in ("1", "2"):
        imported(config, tmp_path)
        run(["rules", "activate", "-c", config, "arithmetic", version])
    capsys.readouterr()
    assert run(["rules", "rollback", "-c", config, "arithmetic"]) == 0
    assert "version 1" in capsys.readouterr().out
    assert run(["rules", "rollback", "-c", config, "arithmetic"]) == 0
    assert "no rules" in capsys.readouterr().out
    assert run(["rules", "rollback", "-c", config, "arithmetic"]) == 1
    run(["rules", "history", "-c", config, "arithmetic"])
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_activating_a_version_that_is_not_there_changes_nothing(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, one line."""
    assert run(["rules", "activate", "-c", config, "arithmetic", "7"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
