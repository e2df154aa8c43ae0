"""Prompts are files with blanks that are checked when they are loaded; an operator's own stand in place of ours."""

from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from optimizer.prompts import BLANKS, SHIPPED, Prompt, PromptFolder


@pytest.mark.parametrize("name", BLANKS)
def test_the_shipped_prompts_have_their_blanks(name: str) -> None:
    """A renamed blank would drop the data silently."""
    filled = SHIPPED.load(name).filled(**{blank: f"<{blank}>" for blank in BLANKS[name]})
    assert all(f"<{blank}>" in filled for blank in BLANKS[name]) and "{{" not in filled


def test_missing_and_unknown_blanks_are_all_named() -> None:
    """In one error with the file's name."""
    with pytest.raises(ConfigurationError, match=r"x\.md: the blank \{\{a\}\} is missing; .*\{\{b\}\} is unknown"):
        Prompt("x.md", "say {{b}}", frozenset({"a"}))


def test_blanks_inside_the_data_stay_as_they_are() -> None:
    """User text cannot pull other values into itself."""
    assert Prompt("x.md", "{{a}} {{b}}", frozenset("ab")).filled(a="{{b}}", b="c") == "{{b}} c"


def test_an_operators_file_stands_in_place_of_ours(tmp_path: Path) -> None:
    """The others stay; it is read again each time, so an edit needs no restart."""
    (tmp_path / "repair.md").write_text("Mend {{refused}} in {{longest}}. {{form}}")
    own = PromptFolder(folder=tmp_path)
    blanks = {"refused": "a", "longest": "9", "form": "f"}
    assert own.load("repair").filled(**blanks) == "Mend a in 9. f"
    (tmp_path / "repair.md").write_text("Repair {{refused}} in {{longest}}. {{form}}")
    assert own.load("repair").filled(**blanks) == "Repair a in 9. f"
    assert own.mistakes() == []


def test_every_mistake_in_an_operators_folder_is_named(tmp_path: Path) -> None:
    """A file of another name would never be read, and one without its data would teach nothing."""
    (tmp_path / "repiar.md").write_text("Mend {{refused}}")
    (tmp_path / "worksheet.md").write_text("Design a form for {{records}} with {{labels}}")
    (tmp_path / "judge.md").write_bytes(b"\xff\xfe")
    complaints = " ".join(PromptFolder(folder=tmp_path).mistakes())
    assert "repiar.md is no prompt" in complaints and "judge.md: cannot be read" in complaints
    assert "worksheet.md: the blank {{fields}} is missing" in complaints
    assert "no folder" in PromptFolder(folder=tmp_path / "none").mistakes()[0]
    with pytest.raises(ConfigurationError, match=r"worksheet\.md: the blank"):
        PromptFolder(folder=tmp_path).load("worksheet")
