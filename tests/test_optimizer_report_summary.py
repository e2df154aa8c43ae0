"""An outcome in plain words."""

import msgspec
import pytest

from gateway.domain import Effect, Measured, VerdictName
from optimizer.distillation.outcome import Outcome
from optimizer.report.summary import effects, headline, statistics

TESTED = Outcome(
    task="sums", note="no rule set published: look 4 of 4, 40 items: neither a gain nor a loss is shown", fixed=3,
    broken=2, items_used=40, before=Measured(accuracy=0.5, n=40), after=Measured(accuracy=0.525, n=40), by="cycle",
)  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "meaning"),
    [
        ("cannot tell", "neither a gain nor a loss is shown"),
        ("worse", "the change does harm"),
        ("non-inferior", "no gain is shown, and a relevant loss is ruled out"),
    ],
)
def test_a_verdict_is_a_meaning_and_no_test_statistic(verdict: VerdictName, meaning: str) -> None:
    """The looks and boundaries of the test stay in the statistics."""
    outcome = msgspec.structs.replace(TESTED, verdict=verdict)
    assert headline(outcome) == f"right answers 50% -> 52% on 40 unseen examples (3 fixed, 2 broken); {meaning}"
    assert any("look 4 of 4" in line for line in statistics(outcome))


def test_a_published_version_shows_its_state() -> None:
    """Live, waiting or on trial."""
    note = "version 3 published, it waits for 'preceptor rules activate'; look 2 of 4"
    outcome = msgspec.structs.replace(TESTED, verdict="better", adopted=True, version=3, note=note)
    assert headline(outcome).endswith("; version 3 published, it waits for 'preceptor rules activate'")


def test_an_objection_to_a_better_candidate_shows_its_reason() -> None:
    """The gate agreed, and the version was not published all the same."""
    note = "no rule set published: all gains are one tenant's"
    assert headline(msgspec.structs.replace(TESTED, verdict="better", note=note)).endswith(note)


def test_without_a_test_the_note_is_the_headline() -> None:
    """A cycle with too little to go on has no numbers."""
    outcome = Outcome(task="sums", note="too few mistakes to learn from: 1 in 3 examples, 4 are needed")
    assert headline(outcome) == outcome.note and statistics(outcome) == []


def test_the_effect_of_each_part_is_a_few_words() -> None:
    """In points with their interval; nothing where nothing was measured by itself."""
    effect = Effect(change=0.4, interval=(0.2, 0.6), tokens=80, items=20, against="the set without it")
    outcome = msgspec.structs.replace(TESTED, effects={"examples": effect})
    assert effects(outcome) == "examples +40 points (+20 to +60)" and effects(TESTED) == ""
