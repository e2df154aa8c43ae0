"""Addresses of pages, and the numbers in them."""

import pytest

from gateway.errors import BadRequest
from optimizer.console.today import today
from optimizer.console.visit import Route, address


def test_a_route_takes_its_own_address() -> None:
    """With the variable parts."""
    route = Route("GET", "/tasks/{}/rules/{}", today)
    assert route.match(("tasks", "desk", "rules", "3")) == ("desk", "3")
    assert route.match(("tasks", "desk", "rules")) is None
    assert route.match(("tasks", "desk", "labels", "3")) is None


def test_an_address_quotes_its_parts() -> None:
    """A name with a slash stays one part."""
    assert address("tasks", "a/b c", 3) == "/ui/tasks/a%2Fb%20c/3"


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "9" * 20, "\N{SUPERSCRIPT TWO}"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    """Before it reaches the store."""
    from optimizer.console.visit import _whole

    with pytest.raises(BadRequest):
        _whole(text, "page", None)
    assert _whole("", "page", 7) == 7 and _whole("12", "page", None) == 12
