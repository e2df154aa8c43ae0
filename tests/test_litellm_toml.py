"""TOML that reads back as what was meant."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.litellm import toml
from gateway.settings import OllamaSettings, Price, Task

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN, lambda items: st.lists(items, max_size=3) | st.dictionaries(TEXT, items, max_size=3), max_leaves=8
)


@given(st.lists(TEXT, min_size=1, max_size=3), st.dictionaries(TEXT, VALUES, max_size=4))
def test_any_table_reads_back(path: list[str], values: dict[str, Any]) -> None:
    """Whatever stands in names and values: quotes, line breaks, control characters."""
    found: Any = tomllib.loads(toml.table(tuple(path), values))
    for name in path:
        found = found[name]
    assert found == values


@given(TEXT | st.text(st.characters(codec="utf-16", categories=["Cs", "Cc", "Zl", "Zp"])))
def test_a_comment_is_one_line_of_nothing(text: str) -> None:
    """Text from elsewhere cannot end the comment that it stands in."""
    assert tomllib.loads(toml.comment(text)) == {}
    assert len(toml.comment(text).splitlines()) == 1


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (OllamaSettings(), {"kind": "ollama"}),
        (OllamaSettings(options={"num_ctx": 1}), {"kind": "ollama", "options": {"num_ctx": 1}}),
        (Price(), {}),
        (Task(weak="a", strong="b", fallback=("c",)), {"weak": "a", "strong": "b", "fallback": ("c",)}),
    ],
)
def test_a_default_is_not_said(section: Any, values: dict[str, Any]) -> None:
    """A short file is one that people read."""
    assert toml.changed_settings(section) == values
