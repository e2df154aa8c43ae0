"""What a person sees while a command works."""

import pytest

from gateway.domain import Usage
from optimizer.commands.progress import Bars, say
from optimizer.evaluation.budget import Ledger
from tests.fakes import CONFIG, settings


def test_nothing_is_drawn_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file is no place for bars; lines are."""
    with Bars() as bars:
        bars("sample", 1, 2)
        say("a line")
    assert capsys.readouterr().err == "a line\n"


PRICE = "price = { input = 1, output = 2 }"


def test_what_is_paid_is_told_in_calls_tokens_and_money() -> None:
    """Money only where there are prices."""
    ledger = Ledger(budget_calls=9, budget_tokens=9000)
    with ledger.reserve(10) as reservation:
        reservation.settle(Usage(prompt_tokens=1000, output_tokens=500))
    ledger.note("small", b"key", Usage(prompt_tokens=1000, output_tokens=500))
    free = Bars(settings().models)
    priced = Bars(settings(CONFIG.replace('model = "tiny-1b"', f'model = "tiny-1b"\n{PRICE}')).models)
    for bars in (free, priced):
        bars.follow(ledger)
    assert free.paid() == "1 calls paid, 1,500 tokens"
    assert priced.paid() == "1 calls paid, 1,500 tokens; $0.0020 of answers"
    assert Bars().paid() == ""
