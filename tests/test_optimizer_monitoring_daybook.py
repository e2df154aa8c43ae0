"""Books of days: what arrives is counted once, on its day."""

import msgspec

from gateway.domain import Exchange, Feedback, Usage
from gateway.settings.models import Price
from gateway.store.base import Arrived
from optimizer.monitoring.daybook import DAY_S, KEPT, DayBook, with_exchanges, with_labels
from tests.rollouts import observed

STRONG = Price(input=2.0, output=8.0)


def exchange(day: int, arm: str = "weak", **fields: object) -> Exchange:
    """One of a day."""
    made = Exchange(
        id="x", created=day * DAY_S + 5.0, task="t", client_model="m", model="m", arm="weak", rules=None, stream=False,
        status="ok", http_status=200, usage=Usage(prompt_tokens=1000, output_tokens=100), cost_usd=0.0001,
    )  # fmt: skip
    return msgspec.structs.replace(made, arm=arm, **fields)


def label(position: int, day: int, right: bool | None, **fields: object) -> Arrived:
    """One judgement of a reply of a day."""
    seen = observed(position, day * DAY_S + 5.0, **fields)  # type: ignore[arg-type]
    given = Feedback(exchange_id="x", created=1.0, correct=right, expected=None if right is not None else "4")
    return Arrived(exchange=seen, feedback=given, position=position, task="t")


def test_requests_and_money_are_booked_by_day() -> None:
    """What the strong model would have cost for the same tokens, less what was spent, is saved."""
    page = [exchange(3), exchange(3, arm="strong", cost_usd=0.0028), exchange(4, status="error"), exchange(4, "shadow")]
    book = with_exchanges(DayBook(), page, 7, STRONG)
    third, fourth = book.days
    assert (third.day, third.exchanges, third.by_weak, fourth.exchanges, fourth.errors) == (3, 2, 1, 1, 1)
    assert round(third.cost, 6) == 0.0029 and round(third.saved, 6) == 0.0027
    assert book.exchanges_until == 7


def test_labels_are_booked_on_the_day_of_the_reply() -> None:
    """By version; audited ones apart from those that clients chose to give."""
    arrived = [
        label(1, 3, True, rules=1, audit_rate=0.1), label(2, 3, False, rules=1), label(3, 3, True, arm="holdback"),
        label(4, 3, True, arm="strong"), label(5, 3, None),
    ]  # fmt: skip
    book = with_labels(DayBook(), arrived, 5)
    without, first = book.days[0].labels
    assert (without.version, without.others, without.others_right) == (None, 1, 1)
    assert (first.version, first.audited_right, first.others, first.others_right) == (1, 1, 1, 0)


def test_what_is_read_again_counts_once() -> None:
    """A book knows how far it has read."""
    arrived = [label(1, 3, True), label(2, 3, True)]
    once = with_labels(DayBook(), arrived, 2)
    assert with_labels(once, arrived, 2) == once


def test_old_days_go() -> None:
    """The book stays small."""
    book = DayBook()
    for day in range(KEPT + 20):
        book = with_exchanges(book, [exchange(day)], day, STRONG)
    assert len(book.days) == KEPT and book.days[-1].day == KEPT + 19
    assert len(book.since(KEPT + 10)) == 10
