"""What is told before anything is spent."""

import click
import pytest
from click.testing import CliRunner

from gateway.store.base import TaskCounts
from optimizer.commands.estimate import announce
from optimizer.dataset.split import Split
from tests.fakes import CONFIG, settings
from tests.scripted import questions

ITEMS = tuple(questions(100))
PARTS = Split(induction=ITEMS[:30], selection=ITEMS[30:60], confirmation=ITEMS[60:80])

DEAR = CONFIG.replace('model = "tiny-1b"', 'model = "tiny-1b"\nprice = { input = 1, output = 1000 }')


def words(capsys: pytest.CaptureFixture[str], text: str = CONFIG, output_tokens: int = 0, *, ask: bool = False) -> str:
    counts = TaskCounts(exchanges=10, output_tokens=output_tokens)
    announce(settings(text), "arithmetic", PARTS, given=100, counts=counts, untouched=ITEMS[80:], ask=ask)
    return capsys.readouterr().err


def test_the_smallest_gain_and_the_smallest_loss_that_can_be_shown_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Before, not after."""
    text = words(capsys)
    assert "gains from" in text and "can be ruled out" in text and "margin is 5%" in text


def test_what_rules_tried_one_by_one_may_take_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be known before, so it stands beside the estimate."""
    assert "if several rules help, up to 80 answers more" in words(capsys)


def test_money_is_told_where_a_model_has_a_price(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing about it where none has; longer replies in the log make it dearer."""
    assert "$" not in words(capsys)
    short, long = words(capsys, DEAR, output_tokens=10), words(capsys, DEAR, output_tokens=9000)
    assert "$" in short and short != long


def test_a_dear_run_is_begun_only_after_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    """One that costs nothing is not asked about."""
    with CliRunner().isolation(input="n\n"), pytest.raises(click.Abort):
        words(capsys, DEAR, ask=True)
    with CliRunner().isolation(input="y\n"):
        words(capsys, DEAR, ask=True)
    with CliRunner().isolation(input=""):
        words(capsys, ask=True)
