"""Parts of a condition: a side that decides hides the failure of the other side."""

from typing import Any

import pytest

from gateway.forms.cel_nodes import Facts, binary, choice, constant, fact
from gateway.forms.cel_values import CelError

TRUE, FALSE, MISSING, TEXT = constant(True), constant(False), fact("missing"), constant("x")


@pytest.mark.parametrize(
    ("sign", "sides", "value"),
    [
        ("&&", (FALSE, MISSING), False),
        ("&&", (MISSING, FALSE), False),
        ("&&", (TEXT, FALSE), False),
        ("||", (TRUE, MISSING), True),
        ("||", (MISSING, TRUE), True),
        ("&&", (TRUE, TRUE), True),
        ("||", (FALSE, FALSE), False),
    ],
)
def test_a_deciding_side_decides(sign: str, sides: tuple[Any, Any], value: bool) -> None:
    """In either order."""
    assert binary(sign, *sides)({}) is value


@pytest.mark.parametrize(
    ("sign", "sides"), [("&&", (TRUE, MISSING)), ("||", (MISSING, FALSE)), ("&&", (TEXT, TRUE)), ("||", (FALSE, TEXT))]
)
def test_without_a_deciding_side_there_is_no_value(sign: str, sides: tuple[Any, Any]) -> None:
    """A missing fact or a text is neither true nor false."""
    with pytest.raises(CelError):
        binary(sign, *sides)({})


def test_only_the_chosen_side_is_computed() -> None:
    """The other side may have no value."""
    facts: Facts = {}
    assert choice(TRUE, TEXT, MISSING)(facts) == choice(FALSE, MISSING, TEXT)(facts) == "x"
