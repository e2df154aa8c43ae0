"""Clusters: conversations, near-duplicates and users, bounded so that one template does not join everything."""

import msgspec

from optimizer.dataset.clusters import with_clusters
from optimizer.dataset.items import Item
from tests.test_optimizer_dataset_families import asked, others, sentence


def changed(item: Item, **fields: str) -> Item:
    return msgspec.structs.replace(item, **fields)


def test_an_item_without_relatives_stands_alone() -> None:
    """It is its own unit."""
    items = with_clusters(others(20))
    assert all(item.cluster == "" and item.unit == item.id for item in items)
    assert with_clusters([]) == ()


def test_a_conversation_is_a_cluster_however_long() -> None:
    """Named after one of its items, whatever the conversation was called."""
    items = with_clusters([changed(item, cluster="a" if place < 15 else "b") for place, item in enumerate(others(20))])
    assert [len({item.cluster for item in part}) for part in (items[:15], items[15:])] == [1, 1]
    assert items[0].cluster in {item.id for item in items[:15]}


def test_near_duplicates_join_their_conversations() -> None:
    """Two conversations about one question are one observation."""
    base = sentence(77)
    pair = [changed(asked(f"{base} {number}", "refund"), cluster=f"c{number}") for number in range(2)]
    first, second, *_ = with_clusters([*pair, *others()])
    assert first.cluster == second.cluster != ""


def test_items_of_a_user_are_a_cluster_where_users_are_many() -> None:
    """A user with a twentieth of the items at most; a large user would leave nothing to divide."""
    few = [changed(item, tenant=f"u{place % 50}") for place, item in enumerate(others(100))]
    assert len({item.unit for item in with_clusters(few)}) == 50
    large = [changed(item, tenant=f"u{place % 4}") for place, item in enumerate(others(100))]
    assert len({item.unit for item in with_clusters(large)}) == 100


def test_clusters_are_the_same_when_computed_again() -> None:
    """And do not depend on the order of the items."""
    base = sentence(5)
    items = [*others(60), *[asked(f"{base} {number}", "refund") for number in range(5)]]
    once = with_clusters(items)
    assert with_clusters(once) == once
    assert {item.id: item.cluster for item in with_clusters(items[::-1])} == {item.id: item.cluster for item in once}
