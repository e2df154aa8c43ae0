"""Prompts are files with blanks that are checked when they are loaded."""

import pytest

from gateway.errors import ConfigurationError
from optimizer.prompts import Prompt, load

LIMITS = ("most", "longest", "form")


@pytest.mark.parametrize(
    ("name", "blanks"),
    [
        ("procedure", ("instruction", "mistakes", "manner", "successes", "form")),
        ("conventions", ("instruction", "labels", "records", *LIMITS)),
        ("boundary", ("instruction", "records", *LIMITS)),
        ("tools", ("instruction", "tools", "records", *LIMITS)),
        ("revise", ("rules", "instruction", "records", "refused", *LIMITS)),
        ("repair", ("refused", "longest", "form")),
        ("worksheet", ("instruction", "labels", "records", "fields")),
        ("worksheet_revise", ("worksheet", "instruction", "labels", "records", "fields")),
    ],
)
def test_the_shipped_prompts_have_the_blanks_that_induction_fills(name: str, blanks: tuple[str, ...]) -> None:
    """A renamed blank would drop the data silently."""
    filled = load(name, *blanks).filled(**{blank: f"<{blank}>" for blank in blanks})
    assert all(f"<{blank}>" in filled for blank in blanks)
    assert not [blank for blank in blanks if f"{{{{{blank}}}}}" in filled]


def test_missing_and_unknown_blanks_are_all_named() -> None:
    """In one error with the file's name."""
    with pytest.raises(ConfigurationError, match=r"x\.md: the blank \{\{a\}\} is missing; .*\{\{b\}\} is unknown"):
        Prompt("x.md", "say {{b}}", frozenset({"a"}))
    with pytest.raises(ConfigurationError, match=r"nowhere\.md: cannot be read"):
        load("nowhere")


def test_blanks_inside_the_data_stay_as_they_are() -> None:
    """User text cannot pull other values into itself."""
    assert Prompt("x.md", "{{a}} {{b}}", frozenset("ab")).filled(a="{{b}}", b="c") == "{{b}} c"
