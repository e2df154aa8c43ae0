"""The split: parts without a common cluster, stable when others come, audited where it decides."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset.items import Item, item_of
from optimizer.dataset.split import MORE_TAUGHT, split

ITEMS = [item_of({"messages": [{"role": "user", "content": str(number)}]}, number) for number in range(600)]


@given(st.sets(st.sampled_from(range(600)), min_size=1), st.text(max_size=5))
def test_no_item_is_in_two_parts_and_none_changes_its_part_when_others_come(chosen: set[int], salt: str) -> None:
    """The hash of an item and the salt decide, nothing else."""
    some = split([ITEMS[number] for number in chosen], salt=salt, selection=999, confirmation=999)
    every = split(ITEMS, salt=salt, selection=999, confirmation=999)
    for name in ("induction", "selection", "confirmation"):
        assert {item.id for item in getattr(some, name)} <= {item.id for item in getattr(every, name)}
    ids = [item.id for part in (every.induction, every.selection, every.confirmation) for item in part]
    assert len(ids) == len(set(ids)) == 600


def test_parts_are_about_30_30_and_40_percent_and_capped() -> None:
    """What the cap of selection has no place for teaches; what that of confirmation leaves out is kept for later."""
    every = split(ITEMS, salt="t", selection=999, confirmation=999)
    shares = [len(part) / 600 for part in (every.induction, every.selection, every.confirmation)]
    assert shares == pytest.approx([0.3, 0.3, 0.4], abs=0.06)
    capped = split(ITEMS, salt="t", selection=20, confirmation=40)
    assert capped.selection == every.selection[:20] and capped.confirmation == every.confirmation[:40]
    assert capped.induction == every.induction + every.selection[20 : 20 + MORE_TAUGHT]


def test_the_reserve_is_nobodys() -> None:
    """First what neither ranks nor teaches, then what does not confirm; three times as much as ranks at most."""
    every = split(ITEMS, salt="t", selection=999, confirmation=999)
    for selection, confirmation in ((20, 40), (60, 160)):
        capped = split(ITEMS, salt="t", selection=selection, confirmation=confirmation)
        rest = every.selection[selection + MORE_TAUGHT :] + every.confirmation[confirmation:]
        assert set(capped.reserve) <= set(rest) and len(capped.reserve) == min(len(rest), 3 * selection)
        assert capped.reserve[0] == rest[0]
    assert every.reserve == ()


def test_an_item_that_confirmed_something_confirms_nothing_again() -> None:
    """It may still teach."""
    first = split(ITEMS, salt="t", selection=20, confirmation=40)
    spent = frozenset(item.id for item in first.confirmation)
    second = split(ITEMS, salt="t", selection=20, confirmation=40, spent=spent)
    assert not spent & {item.id for item in (*second.confirmation, *second.selection)}
    assert spent <= {item.id for item in second.induction}


def changed(item: Item, **fields: Any) -> Item:
    return msgspec.structs.replace(item, **fields)


def test_a_cluster_is_in_one_part() -> None:
    """Sixty conversations of five turns are sixty draws."""
    items = [changed(item, cluster=f"c{place // 5}") for place, item in enumerate(ITEMS[:300])]
    every = split(items, salt="t", selection=999, confirmation=999)
    parts = [{item.cluster for item in part} for part in (every.induction, every.selection, every.confirmation)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 60
    assert all(len(part) > 9 for part in parts)


@pytest.mark.parametrize("flooded", ["selection", "confirmation"])
def test_a_flood_of_near_duplicates_takes_no_others_place(flooded: str) -> None:
    """Eighty copies are one observation: the cap holds as many clusters as it can, and the copies get the rest."""
    alone = split(ITEMS[:200], salt="t", selection=999, confirmation=999)
    names = {item.id for item in getattr(alone, flooded)}
    first = next(item for item in getattr(alone, flooded))
    copies = [changed(item, cluster=first.id) for item in ITEMS[300:380]]
    items = [changed(item, cluster=first.id) if item is first else item for item in ITEMS[:200]]
    part = getattr(split([*copies, *items], salt="t", selection=20, confirmation=40), flooded)
    caps = {"selection": 20, "confirmation": 40}
    assert len({item.unit for item in part}) == len(part) == caps[flooded]
    roomy = getattr(split([*copies, *items], salt="t", selection=len(names) + 9, confirmation=len(names) + 9), flooded)
    assert {item.unit for item in roomy} == names and sum(item.cluster == first.id for item in roomy) == 10


def test_only_audited_items_select_and_confirm() -> None:
    """The others teach, unless their cluster is about to decide."""
    items = [changed(item, audit_rate=0.0) for item in ITEMS[:200]] + ITEMS[200:]
    every = split(items, salt="t", selection=999, confirmation=999)
    assert all(item.is_audited for item in (*every.selection, *every.confirmation))
    assert {item.id for item in ITEMS[:200]} <= {item.id for item in every.induction}
    mixed = [changed(item, cluster=f"c{place // 2}", audit_rate=place % 2) for place, item in enumerate(ITEMS)]
    halves = split(mixed, salt="t", selection=999, confirmation=999)
    deciding = {item.cluster for item in (*halves.selection, *halves.confirmation)}
    assert deciding and not deciding & {item.cluster for item in halves.induction}


def test_a_cluster_with_a_spent_item_decides_no_more() -> None:
    """Its other items would repeat what is known."""
    items = [changed(item, cluster=f"c{place // 5}") for place, item in enumerate(ITEMS[:300])]
    first = split(items, salt="t", selection=999, confirmation=999)
    spent = first.confirmation[0]
    second = split(items, salt="t", selection=999, confirmation=999, spent=frozenset({spent.id}))
    assert spent.cluster not in {item.cluster for item in second.confirmation}
    assert sum(item.cluster == spent.cluster for item in second.induction) == 5
