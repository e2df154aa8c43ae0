"""Links of chained responses."""

from gateway.domain import RuleSet
from gateway.routing.chains import Chains, Link, link_of
from gateway.routing.inject import compile_rules
from gateway.routing.route import CompiledSplit, continued
from tests.test_store_base import FULL

LINK = link_of(FULL)
LIVE = compile_rules(RuleSet(task="sums", version=1, rules=()))
CANARY = compile_rules(RuleSet(task="sums", version=2, rules=()))


def linked(arm: str, rules: int | None) -> Link:
    return Link(task="sums", arm=arm, model="small", rules=rules, key=None, cluster=None)  # type: ignore[arg-type]


def test_a_link_is_the_way_of_the_record() -> None:
    """Task, arm, model, version, key and conversation."""
    assert (
        Link(task=FULL.task, arm=FULL.arm, model=FULL.model, rules=FULL.rules, key=FULL.key, cluster=FULL.cluster)
        == LINK
    )


def test_the_oldest_links_go_first() -> None:
    """Memory is bounded."""
    chains = Chains(kept=2)
    for name in "abc":
        chains.remember(name, LINK)
    assert [chains.get(name) for name in "abc"] == [None, LINK, LINK]


def test_a_chain_keeps_its_version_while_that_is_on_the_air() -> None:
    """On trial or live; a version that was taken off is followed by the live one."""
    trial = CompiledSplit(live=LIVE, canary=CANARY, canary_share=0.1)
    assert continued(linked("canary", 2), trial) == ("canary", CANARY)
    assert continued(linked("weak", 1), trial) == ("weak", LIVE)
    assert continued(linked("canary", 2), CompiledSplit(live=LIVE)) == ("weak", LIVE)
    assert continued(linked("canary", 2), CompiledSplit(live=CANARY)) == ("weak", CANARY)
    assert continued(linked("holdback", None), trial) == ("holdback", None)
    assert continued(linked("strong", None), trial) == ("strong", None)
