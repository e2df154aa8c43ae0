"""Items set aside: which errors are about an item, how many are too many, and how they are named."""

import pytest

from gateway.errors import (
    Overloaded,
    PreceptorError,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from optimizer.evaluation.set_aside import SetAside, is_about_the_request

SLOW = UpstreamTimeout("upstream 'mock' took longer than 900 s in all")


def refused(status: int) -> UpstreamRefused:
    return UpstreamRefused(status, b"{}", {})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(400), True), (refused(413), True), (refused(422), True), (SLOW, True), (refused(401), False),
        (refused(404), False), (refused(429), False), (refused(500), False), (UpstreamBroken("x"), False),
        (UpstreamTimeout("no connection", sent=False), False), (UpstreamUnreachable("x"), False),
        (Overloaded("x"), False),
    ],
)  # fmt: skip
def test_an_error_is_about_the_request_or_about_the_provider(error: PreceptorError, expected: bool) -> None:
    """A key, a model name and a server that is down are not about an example."""
    assert is_about_the_request(error) is expected


@pytest.mark.parametrize(("total", "most"), [(3, 0), (4, 1), (19, 1), (20, 2), (50, 5)])
def test_a_tenth_of_a_stage_may_be_set_aside(total: int, most: int) -> None:
    """A single item in a stage of at least four."""
    aside = SetAside()
    for number in range(most):
        aside.add(str(number), refused(400), total)
        aside.answered()
    with pytest.raises(UpstreamRefused):
        aside.add("another", refused(400), total)
    assert len(aside.reasons) == most


def test_an_item_refused_with_several_rule_sets_counts_once() -> None:
    """A stage of a race asks for an item with all of them at once."""
    aside = SetAside()
    first = aside.add("1", refused(400), 6)
    assert aside.add("1", refused(400), 6) == first
    assert list(aside.reasons) == ["1"]
    with pytest.raises(UpstreamRefused):
        aside.add("1", refused(401), 6)


def test_three_in_a_row_are_the_providers_fault() -> None:
    """The items before are taken back in."""
    aside = SetAside()
    aside.add("1", SLOW, 100)
    aside.answered()
    aside.add("2", SLOW, 100)
    aside.add("3", SLOW, 100)
    with pytest.raises(UpstreamTimeout):
        aside.add("4", SLOW, 100)
    assert list(aside.reasons) == ["1"]


def test_a_note_names_the_items() -> None:
    """Three of them, and the number of the others."""
    aside = SetAside()
    assert aside.note() == ""
    for number in range(5):
        aside.add(f"i{number}", UpstreamTimeout("slow"), 100)
        aside.answered()
    assert aside.note() == (
        "5 examples set aside, counted as wrong in every arm: i0 (slow), i1 (slow), i2 (slow) and 2 more"
    )
