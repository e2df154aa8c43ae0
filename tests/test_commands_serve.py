"""``preceptor serve`` before it serves (that it serves is tested in test_serving_server)."""

from gateway.cli import run


def test_a_port_that_is_no_port_is_wrong_usage() -> None:
    """Before anything is opened."""
    assert run(["serve", "--port", "123456"]) == 2
