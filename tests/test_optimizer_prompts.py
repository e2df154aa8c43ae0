"""Prompts are files with blanks that are checked when they are loaded."""

import pytest

from gateway.errors import ConfigurationError
from optimizer.prompts import Prompt, load


def test_the_shipped_prompts_have_the_blanks_that_induction_fills() -> None:
    """A renamed blank would drop the data silently."""
    prompt = load("rules", "instruction", "mistakes", "manner", "successes", "form")
    assert "{{" not in prompt.filled(instruction="i", mistakes="m", manner="m", successes="s", form="f")


def test_missing_and_unknown_blanks_are_all_named() -> None:
    """In one error with the file's name."""
    with pytest.raises(ConfigurationError, match=r"x\.md: the blank \{\{a\}\} is missing; .*\{\{b\}\} is unknown"):
        Prompt("x.md", "say {{b}}", frozenset({"a"}))
    with pytest.raises(ConfigurationError, match=r"nowhere\.md: cannot be read"):
        load("nowhere")


def test_blanks_inside_the_data_stay_as_they_are() -> None:
    """User text cannot pull other values into itself."""
    assert Prompt("x.md", "{{a}} {{b}}", frozenset("ab")).filled(a="{{b}}", b="c") == "{{b}} c"
