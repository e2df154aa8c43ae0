"""Fixed and broken, example by example."""

from optimizer.console.changed import rows_of
from optimizer.distillation.outcome import ChangedItem, Outcome
from tests.consoles import console, signed_in

CHANGED = "/ui/tasks/ticket-desk/changed"
ITEM = ChangedItem(id="1", input="2 + 2?", expected=4, before="5", after="4")


def test_broken_examples_come_first() -> None:
    """They are what a person looks for; an expected number is text."""
    rows = rows_of(Outcome(task="t", note="", fixed_examples=(ITEM,), broken_examples=(ITEM,)))
    assert [row.fixed for row in rows] == [False, True] and rows[0].expected == "4"


async def test_the_filter_shows_one_kind() -> None:
    """And every run has its address."""
    async with console() as served:
        client = await signed_in(served)
        both, broken, fixed = [
            (await client.get(f"{CHANGED}?run=1{show}")).text for show in ("", "&show=broken", "&show=fixed")
        ]
        assert (both.count("data-row"), broken.count("data-row"), fixed.count("data-row")) == (12, 2, 10)
        assert "12 of 35 are kept" in both
        assert (await client.get(f"{CHANGED}?run=99")).status_code == 404
