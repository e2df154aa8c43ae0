"""The evidence of a trial in words."""

import pytest

from optimizer.console.trial import rail_row
from optimizer.monitoring.rollout.guardrails import Guardrail

RAIL = Guardrail(name="bad replies", e_value=0.5, limit=1000.0, why="4 of 212")


@pytest.mark.parametrize(
    ("rail", "verdict", "tone"),
    [
        ({}, "no sign of harm", "good"),
        ({"e_value": 5.0, "doubtful": True}, "leans towards harm: no share grows", "warn"),
        ({"e_value": 1000.0}, "harm", "bad"),
        ({"e_value": 5000.0, "refused": "one-sided"}, "decides nothing: one-sided", ""),
    ],
)
def test_a_guardrail_has_a_verdict_in_words(rail: dict[str, object], verdict: str, tone: str) -> None:
    """The same that the watch goes by."""
    import msgspec

    row = rail_row(msgspec.structs.replace(RAIL, **rail))
    assert (row.verdict, row.tone) == (verdict, tone)
