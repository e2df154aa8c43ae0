"""Teaching material: who may see an example."""

import pytest

from gateway.teaching import Example


@pytest.mark.parametrize(
    ("key", "tenant", "visible"),
    [
        ("shop", "t1", True),
        ("shop", "t2", False),
        ("shop", None, False),
        ("bank", "t1", False),
        (None, None, False),
    ],
)
def test_a_users_example_is_for_its_own_tenant(key: str | None, tenant: str | None, visible: bool) -> None:
    """Key and end user must both be those of the exchange that it came from."""
    example = Example(question="2 + 2", answer="4", key="shop", tenant="t1")
    assert example.visible_to(key, tenant) is visible


def test_nobody_shares_with_somebody() -> None:
    """An exchange that named no end user is no example for those that name one."""
    example = Example(question="2 + 2", answer="4", key="shop")
    assert example.visible_to("shop", None) and not example.visible_to("shop", "t1")


def test_a_shared_example_is_for_everybody() -> None:
    """It comes from an operator's file."""
    example = Example(question="2 + 2", answer="4", shared=True)
    assert example.visible_to("bank", "t9") and example.visible_to(None, None)
