"""The bench of a command, and what a signal does to the work on it."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import click
import pytest

from gateway.domain import Usage
from gateway.errors import PreceptorError
from gateway.spending.book import SPEND, day_of
from gateway.store.sql import SqlStore
from optimizer.commands.workbench import ending_well, learner_on, unfinished
from optimizer.evaluation.bill import LearningBill
from optimizer.evaluation.budget import BudgetSpent, Ledger, Stopped
from tests.counted_money import used
from tests.fakes import CONFIG, settings
from tests.valkey import valkey


def ledger() -> Ledger:
    return Ledger(budget_calls=9, budget_tokens=900)


async def test_the_first_signal_lets_nothing_new_begin_and_what_is_under_way_end() -> None:
    """Because that is paid for."""
    books = ledger()
    with ending_well(books):
        with books.reserve(1):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.01)
        with pytest.raises(Stopped), books.reserve(1):
            pass


@pytest.mark.parametrize("again", [True, False], ids=["a second signal", "the grace is over"])
async def test_what_does_not_end_is_given_up(again: bool) -> None:
    """At a second signal, or after the grace."""

    async def work() -> None:
        with ending_well(ledger(), grace_s=30 if again else 0):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
            if again:
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_afterwards_a_signal_means_what_it_meant_before() -> None:
    """Ctrl-C after the work ends the program."""
    with ending_well(ledger()):
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_that_can_be_run_again_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 130 where someone stopped it, an error where something failed."""
    with pytest.raises(click.exceptions.Exit) as stopped:
        unfinished("stopped", stopped=True)
    assert stopped.value.exit_code == 130
    assert "run the same command again" in capsys.readouterr().err
    with pytest.raises(PreceptorError, match="run the same command again"):
        unfinished("the upstream is away", stopped=False)


async def test_a_command_that_learns_reserves_its_money_in_the_shared_counters(tmp_path: Path) -> None:
    """Before each call; a young Valkey is waited for."""
    async with valkey() as (url, _):
        server = f'port = 0\ndata_dir = "{tmp_path}"\ncounters = "{url}"\ncounters_fail = "closed"'
        text = CONFIG.replace("port = 0", server)
        text = text.replace('model = "huge-1t"', 'model = "huge-1t"\nprice = { input = 1, output = 1 }')
        text = text.replace("grader = {", "budget = { usd = 1 }\ngrader = {")
        async with learner_on(settings(text)) as (_, learner):
            bill = LearningBill(learner._context, "arithmetic")
            async with bill.place("large", Usage(output_tokens=600_000)) as pay:
                assert await used(url, "task:arithmetic") == (0.0, 0.6)
                with pytest.raises(BudgetSpent):
                    await bill.admit("large", Usage(output_tokens=500_000))
                pay(Usage(output_tokens=300_000))
            assert await used(url, "task:arithmetic") == (0.3, 0.0)
    with contextlib.closing(SqlStore.open(tmp_path)) as store:
        assert [row.usd for row in SPEND.read(store, day_of(time.time())) or ()] == [0.3]
