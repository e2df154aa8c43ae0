"""The towns of ``tests/bench/live/told.py``: the scripts do what the table calls the truth, and one small town."""

import pytest

from tests.bench.live.told import (
    COPIES,
    EFFECTS,
    HABITS,
    HEAD,
    RIGHT,
    RULE,
    Said,
    cases,
    play,
    row,
    strong,
    untrue,
    weak,
)
from tests.world import answer

QUESTIONS = [f"What is {number} plus {2 * number + 1}?" for number in range(4000)]


def asked(text: str, *, rule: bool) -> dict[str, object]:
    system = [{"role": "system", "content": RULE if rule else "Add."}]
    return {"messages": [*system, {"role": "user", "content": text}]}


@pytest.mark.parametrize("name", list(EFFECTS))
def test_the_truth_is_what_the_scripts_do(name: str) -> None:
    """In right replies and in agreement with the strong model, within two points of four thousand questions."""
    effect = EFFECTS[name]
    bodies = [(text, asked(text, rule=False), asked(text, rule=True)) for text in QUESTIONS]
    replies = [
        (
            answer(text),
            strong(plain, salt="1"),
            weak(plain, effect=effect, salt="1"),
            weak(ruled, effect=effect, salt="1"),
        )
        for text, plain, ruled in bodies
    ]
    right = [sum(reply[at] == reply[0] for reply in replies) / len(replies) for at in (1, 2, 3)]
    agree = [sum(reply[at] == reply[1] for reply in replies) / len(replies) for at in (2, 3)]
    assert right[0] == pytest.approx(0.8, abs=0.02) and right[1] == pytest.approx(RIGHT, abs=0.02)
    assert right[2] - right[1] == pytest.approx(effect.truth, abs=0.02)
    assert agree[1] - agree[0] == pytest.approx(effect.agreement, abs=0.02)


def test_corrections_of_wrong_replies_alone_are_told_to_show_nothing() -> None:
    """A town of sixty requests, from the first request to the cycle's sentence."""
    town = play("corrections of half of the wrong replies", "harms", False, 80, 1)
    assert town.first == "nothing can be shown: labels were chosen by outcome"
    assert town.state == "never published" and town.promised is None and town.measured is None


def test_a_row_says_what_was_said() -> None:
    """Of towns that differ, how often each; without a word, a dash."""
    live = Said("cannot tell", "better", "right", 0.2, True, "live", None, 0.25, False, 0.22)
    off = Said("cannot tell", "cannot tell", "", None, None, "off the air", 2.5, None, None)
    cells = row(next(iter(HABITS)), "helps", False, [live, off]).strip("| ").split(" | ")
    assert len(cells) == len(HEAD) and cells[3:5] == ["cannot tell: 2", "better: 1, cannot tell: 1"]
    assert cells[6:8] == ["+20", "1 of 1"] and cells[9:13] == ["2.5", "+25.0", "0 of 1", "1 of 3"]
    assert (list(HABITS)[-1], COPIES, False) in cases()


def test_a_rule_called_better_that_gains_nothing_is_a_false_statement() -> None:
    """Beside its promise; a rule of which nothing was said makes none."""
    harms = Said("better", "better", "right", 0.2, True, "live", None, None, None, -0.12)
    silent = Said("cannot tell", "cannot tell", "", None, None, "never published", None, None, None)
    assert harms.statements == [False, True] and untrue([harms, silent]) == "1 of 2" and untrue([silent]) == "-"
