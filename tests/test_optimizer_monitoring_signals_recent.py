"""The window on the newest traffic: bounded, and as long as it can be."""

from typing import Any

import pytest

from gateway.domain import Exchange
from optimizer.monitoring.signals import recent
from optimizer.monitoring.signals.recent import EVERY_S, WITHIN_S, Recent
from tests.traffic import NOW, asked, exchange


def by(user: str, number: int, after_s: float, **changes: Any) -> Exchange:
    return exchange(number, body=asked(1, user=user), created=NOW + after_s, **changes)


def again(window: Recent, now: float) -> list[str]:
    return [one.id for one in window.repeated_questions(NOW + now)]


def test_a_question_that_was_asked_again_is_found_when_it_is_certain() -> None:
    """Not before the time has passed in which later traffic could change it."""
    window = Recent()
    window.add([by("a", 1, 0), by("b", 2, 1), by("a", 3, 30)])
    assert again(window, 60) == []
    assert again(window, WITHIN_S + 60) == ["x1"]


def test_what_was_told_is_not_brought_up_again() -> None:
    """What was not, because it could not be written down, is."""
    window = Recent()
    window.add([by("a", 1, 0), by("a", 2, 30)])
    found = window.repeated_questions(NOW + 700)
    assert again(window, 700 + EVERY_S) == ["x1"]
    window.mark_reported(found)
    assert again(window, 700 + 2 * EVERY_S) == []


def test_a_search_is_made_once_a_minute_and_a_clock_that_goes_back_does_not_stop_it() -> None:
    """It reads the whole window."""
    window = Recent()
    window.add([by("a", 1, 0), by("a", 2, 30)])
    assert again(window, 650) == ["x1"]
    assert again(window, 650 + EVERY_S - 1) == []
    assert again(window, 640) == ["x1"]


@pytest.mark.parametrize("changes", [{"arm": "shadow"}, {"task": None}, {"reply": None}])
def test_what_nobody_asked_or_may_be_learnt_from_is_not_kept(changes: dict[str, Any]) -> None:
    """Neither as the first nor as the second of two."""
    window = Recent()
    window.add([by("a", 1, 0, **changes), by("a", 2, 30), by("b", 3, 40), by("b", 4, 50, **changes)])
    assert again(window, 700) == []


def test_two_tasks_do_not_meet() -> None:
    """The same words to another task are another question."""
    window = Recent()
    window.add([by("a", 1, 0), by("a", 2, 30, task="another")])
    assert again(window, 700) == []


def test_an_exchange_that_is_read_twice_is_kept_once() -> None:
    """Otherwise it would look like a program's prompt."""
    window = Recent()
    for _ in range(4):
        window.add([by("a", 1, 0), by("a", 2, 30)])
    assert again(window, 700) == ["x1"]


def test_under_heavy_traffic_what_was_asked_again_soon_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window then spans 20 seconds, and half of that is waited for."""
    monkeypatch.setattr(recent, "MOST", 200)
    window = Recent()
    window.add([by(f"u{number}", number, number / 10) for number in range(290)])
    window.add([by("u120", 1000, 15.0), by("u290", 290, 29.0)])
    assert again(window, 29.0) == ["x120"]


def test_a_window_holds_so_many_bytes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request that is larger than all of it does not stay either."""
    monkeypatch.setattr(recent, "MOST_BYTES", 5000)
    window = Recent()
    window.add([by("a", number, number, reply="x" * 400) for number in range(100)])
    assert 0 < len(window._kept) < 15 and window._bytes <= 5000
    window.add([by("a", 100, 100, reply="x" * 6000)])
    assert not window._kept and window._bytes == 0


def test_a_window_counts_what_texts_take_in_memory() -> None:
    """Four bytes for each character, once one of them is an emoji."""
    plain, wide = Recent(), Recent()
    plain.add([by("a", 1, 1, reply="x" * 100_000)])
    wide.add([by("a", 1, 1, reply="x" * 99_999 + "\U0001f600")])
    assert plain._bytes < 110_000 and wide._bytes > 400_000


def test_what_is_over_is_let_go() -> None:
    """After twice the time within which a question counts as asked again."""
    window = Recent()
    window.add([by("a", 1, 0)])
    window.repeated_questions(NOW + 2 * WITHIN_S + EVERY_S + 1)
    assert not window._kept
