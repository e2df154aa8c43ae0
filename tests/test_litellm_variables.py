"""Secrets as names of variables."""

import pytest

from gateway.litellm.variables import Variables, referred


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("os.environ/OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("os.environ/", None),
        ("os.environ/MY-KEY", None),
        ("OPENAI_API_KEY", None),
        (5, None),
        (None, None),
    ],
)
def test_a_reference_names_a_variable(value: object, name: str | None) -> None:
    """``os.environ/NAME``, where NAME is one that ``${NAME}`` can say."""
    assert referred(value) == name


def test_a_reference_keeps_its_name_and_a_literal_gets_one() -> None:
    """The same secret gets the same name, another one another, and none the name of something that is there already."""
    variables = Variables(["A_KEY"])
    assert variables.holding("os.environ/A_KEY", "B_KEY", "x") == "${A_KEY}"
    assert variables.holding("sk-1", "a key", "x") == "${A_KEY_2}"
    assert variables.holding("sk-1", "a key", "y") == "${A_KEY_2}"
    assert variables.holding("sk-2", "a key", "z") == "${A_KEY_3}"
    assert variables.holding("sk-3", "9 lives", "z") == "${LIVES}"
    assert variables.holding("sk-3", "", "z") == "${VALUE}"


def test_a_text_is_told_what_it_needs() -> None:
    """Only what is used, with what it must hold; what was never asked for is named all the same."""
    variables = Variables([])
    variables.holding("sk-1", "KEY", "model_list[0].api_key")
    variables.known("UNUSED", "nothing")
    assert variables.in_text('"${OTHER}" "${KEY}" "${not a name}"') == {
        "OTHER": "named in the file itself",
        "KEY": "the value of model_list[0].api_key",
    }
