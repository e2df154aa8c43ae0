"""Drill: clients that do not read, that drip, or that send a million values, and one honest client beside them.

A gateway in a process of its own, in front of an upstream with four places. Half a minute without an answer is a
failure; how long it took is printed by ``python -m tests.bench.gateway.bystander``.
"""

import pytest

from optimizer.demo.loopback import loopback_server
from tests.bench.gateway.bystander import ABUSES, beside, model


@pytest.mark.parametrize("abuse", [name for name in ABUSES if name != "nothing"])
async def test_an_honest_client_is_answered_beside_the_others(abuse: str) -> None:
    """Every request of it: slow readers lose their place, half requests their connection, too many values are a 413."""
    async with loopback_server(model) as url:
        waits = await beside(ABUSES[abuse], url, 8.0)
    assert waits.failures == 0, str(waits)
