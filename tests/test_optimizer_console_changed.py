"""Fixed and broken, example by example."""

import msgspec

from optimizer.console.changed import rows_of
from optimizer.distillation.outcome import ChangedItem, Outcome
from tests.consoles import NOW, console, signed_in, stocked

CHANGED = "/ui/tasks/ticket-desk/changed"
ITEM = ChangedItem(id="1", input="2 + 2?", expected=4, before="5", after="4")


def test_broken_examples_come_first() -> None:
    """They are what a person looks for; an expected number is text."""
    rows = rows_of(Outcome(task="t", note="", fixed_examples=(ITEM,), broken_examples=(ITEM,)))
    assert [row.fixed for row in rows] == [False, True] and rows[0].expected == "4"


async def test_many_examples_come_in_pages() -> None:
    """Twenty at a time, with the filter kept."""
    store = stocked()
    item = ChangedItem(id="i", input="", expected="x", before="y", after="x")
    items = tuple(msgspec.structs.replace(item, input=f"Question {number}?") for number in range(45))
    outcome = Outcome(task="ticket-desk", note="", items_used=90, fixed=45, fixed_examples=items)
    store.end_cycle(store.begin_cycle("ticket-desk", NOW, b"{}").id, NOW, outcome.encoded())
    async with console(store) as served:
        client = await signed_in(served)
        pages = [(await client.get(f"{CHANGED}?show=fixed&page={page}")).text for page in (1, 2, 3, 9)]
    assert [page.count("data-row") for page in pages] == [20, 20, 5, 5]
    assert "Page 1 of 3" in pages[0] and "show=fixed&amp;page=2" in pages[0] and "Question 20?" in pages[1]


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
