"""``preceptor demo`` from the shell; what it plays is tested in ``test_optimizer_demo_play``."""

import pytest

from gateway.cli import run


def test_a_model_that_is_not_known_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Before a gateway is started."""
    assert run(["demo", "--model", "no-such-model"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_too_few_problems_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """They would show nothing."""
    assert run(["demo", "--items", "3"]) == 2
    assert "--items" in capsys.readouterr().err
