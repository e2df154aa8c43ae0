"""``preceptor demo`` from the shell; what it plays is tested in ``test_optimizer_demo_play``."""

import json

import pytest

from gateway.cli import run
from optimizer.demo.tickets import RULES


def test_a_model_that_is_not_known_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Before a gateway is started."""
    assert run(["demo", "--model", "no-such-model"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.drill
def test_the_quick_demo_learns_the_house_conventions_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts play the models, and are said to; of five proposals the useless and the harmful one are left out."""
    assert run(["demo", "--quick", "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert (result["models"], result["task"], result["verdict"]) == ("scripted", "tickets", "better")
    assert (result["after"]["accuracy"], result["broken"], result["swap"]["dropped_requests"]) == (1.0, 0, 0)
    assert set(result["rules"]) == {text for text, _ in RULES[:3]}
    assert "Scripts played both models" in captured.err
    assert "answer returns. (" in captured.err.partition("not taken")[2]


def test_too_few_problems_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """They would show nothing."""
    assert run(["demo", "--items", "3"]) == 2
    assert "--items" in capsys.readouterr().err
