"""An outcome on stdout."""

import json

import pytest

from gateway.domain import Measured, Rule
from optimizer.commands.outcomes import print_outcome
from optimizer.induction.induce import Rejected
from optimizer.outcome import Outcome

OUTCOME = Outcome(
    task="sums", note="look 4 of 4", verdict="better", fixed=8, broken=1, items_used=20, p_value=0.02,
    interval=(0.1, 0.6), before=Measured(accuracy=0.2, n=20), after=Measured(accuracy=0.55, n=20),
    rules=(Rule(text="Work in steps."),), rejected=(Rejected(what="Be nice.", why="no effect"),),
)  # fmt: skip


def test_for_scripts_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With every field of the outcome."""
    print_outcome(OUTCOME, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(Outcome.__struct_fields__)


def test_for_people_it_says_what_was_taken_and_what_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    """With the interval, the fixed and the broken."""
    print_outcome(OUTCOME, as_json=False)
    out = capsys.readouterr().out
    for told in ("better", "20.0% -> 55.0%", "+10.0% to +60.0%", "8 fixed, 1 broken", "Work in steps.", "Be nice."):
        assert told in out
