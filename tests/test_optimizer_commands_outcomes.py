"""An outcome on stdout."""

import json

import msgspec
import pytest

from gateway.domain import Measured, Rule
from gateway.errors import PreceptorError
from optimizer.commands.outcomes import cut_short, print_outcome
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.rejected import Rejected
from optimizer.evaluation.noise import Noise

OUTCOME = Outcome(
    task="sums", note="look 4 of 4", verdict="better", fixed=8, broken=1, items_used=20, p_value=0.02,
    interval=(0.1, 0.6), before=Measured(accuracy=0.2, n=20), after=Measured(accuracy=0.55, n=20),
    rules=(Rule(text="Work in steps."),), rejected=(Rejected(what="Be nice.", why="no effect"),),
)  # fmt: skip


def test_for_scripts_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With every field of the outcome."""
    print_outcome(OUTCOME, as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {*Outcome.__struct_fields__, "form"} and result["form"] == "none"


def test_for_people_it_says_what_was_taken_and_what_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    """In plain words; the statistics wait for ``--verbose``."""
    print_outcome(OUTCOME, as_json=False)
    out = capsys.readouterr().out
    plain = ("right answers 20% -> 55% on 20 unseen examples", "8 fixed, 1 broken", "the change helps")
    for words in (*plain, "between +10 and +60 points", "Work in steps.", "Be nice."):
        assert words in out
    assert "p = " not in out and "look 4 of 4" not in out
    print_outcome(OUTCOME, as_json=False, verbose=True)
    out = capsys.readouterr().out
    assert "p = 0.02" in out and "look 4 of 4" in out


def test_for_people_it_says_how_strict_the_test_was_and_how_much_was_chance(capsys: pytest.CaptureFixture[str]) -> None:
    """As the report does."""
    noise = Noise(items=20, differing=3, interval=(0.05, 0.36))
    print_outcome(msgspec.structs.replace(OUTCOME, level=0.05, noise=noise), as_json=False, verbose=True)
    out = capsys.readouterr().out
    assert "adopts at most 5%." in out and "right once and wrong once on 3 of 20" in out


def test_a_run_that_was_cut_short_ends_with_an_object_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """It says that it may be resumed; people get the one line of the error."""
    outcome = msgspec.structs.replace(OUTCOME, note="interrupted: gone", resumable=True)
    for as_json in (True, False):
        with pytest.raises(PreceptorError, match="interrupted: gone; run the same command again"):
            cut_short(outcome, as_json, stopped=False)
        out = capsys.readouterr().out
        assert (json.loads(out)["resumable"] is True) if as_json else not out
