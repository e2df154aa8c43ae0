"""The table of ``tests/bench/live/poison.py``, one disguise of each strategy: what it claims in the large."""

import pytest

from tests.bench.live.poison import DISGUISES, POLICIES, STRATEGIES, Attack, Strategy, table

pytestmark = pytest.mark.drill


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
@pytest.mark.parametrize("disguise", [0, 11])
async def test_no_attack_succeeds(strategy: Strategy, disguise: int) -> None:
    """The attacker's rule is in no version, and a flood through one key does not stop the honest lesson."""
    poisoned, honest = await Attack(strategy, DISGUISES[disguise]).run("at_once")
    assert not poisoned
    assert honest or strategy.name not in ("one tenant", "rotating users")


async def test_the_same_traffic_without_an_attacker_teaches_its_rule() -> None:
    """Under every policy."""
    assert [await Attack(None, DISGUISES[0]).run(policy) for policy in POLICIES] == [(False, True)] * len(POLICIES)


async def test_without_the_gate_s_look_outside_the_answer_an_attack_succeeds() -> None:
    """So the attack is one, and the guard is what stops it."""
    carried = next(strategy for strategy in STRATEGIES if strategy.label)
    attack = Attack(carried, DISGUISES[0])
    poisoned, _ = await attack.run("at_once", "outside_margin = 1.0")
    assert poisoned


async def test_the_table_has_a_row_for_each_strategy() -> None:
    """And one without an attacker."""
    lines = await table(["manual"], DISGUISES[:1])
    assert len(lines) == 3 + len(STRATEGIES) and lines[2] == "| none | manual | 0 | - | 1 of 1 |"
