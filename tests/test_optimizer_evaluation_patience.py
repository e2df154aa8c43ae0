"""Pauses between calls in the background."""

import asyncio

import pytest

from gateway.errors import Overloaded, PreceptorError, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from optimizer.evaluation.patience import PATIENT_TRIES, TRIES, Patience


def patience(*, cap_s: float = 120.0) -> Patience:
    return Patience(pause_s=0.0, cap_s=cap_s, wall_clock=lambda: 1_000_000_000.0)


def limited(value: str) -> UpstreamRefused:
    return UpstreamRefused(429, b"{}", {"retry-after": value})


@pytest.mark.parametrize("error", [UpstreamTimeout("slow"), UpstreamUnreachable("x"), UpstreamRefused(503, b"", {})])
def test_a_failing_upstream_is_tried_once_more(error: PreceptorError) -> None:
    """Then it counts as failing."""

    async def tried() -> None:
        patience().pause("m", error, TRIES - 1)
        with pytest.raises(type(error)):
            patience().pause("m", error, TRIES)

    asyncio.run(tried())


@pytest.mark.parametrize("error", [limited("12"), Overloaded("busy", headers={"retry-after": "1"})])
def test_one_that_asks_for_a_pause_is_tried_longer(error: PreceptorError) -> None:
    """It is alive, and says when."""

    async def tried() -> None:
        patience().pause("m", error, PATIENT_TRIES - 1)
        with pytest.raises(type(error)):
            patience().pause("m", error, PATIENT_TRIES)

    asyncio.run(tried())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_final(status: int) -> None:
    """Asked again, it would be refused again, whatever its headers say."""
    with pytest.raises(UpstreamRefused):
        patience().pause("m", UpstreamRefused(status, b"", {"retry-after": "1"}), 1)


async def test_a_pause_beyond_the_bound_is_final() -> None:
    """As seconds and as a date."""
    for value in ("121", "Sun, 09 Sep 2001 01:49:01 GMT"):
        with pytest.raises(UpstreamRefused):
            patience().pause("m", limited(value), 1)
    patience().pause("m", limited("Sun, 09 Sep 2001 01:48:40 GMT"), 1)


async def test_a_pause_holds_for_every_call_to_the_model_and_no_other() -> None:
    """The longest of several counts."""
    waiting = patience()
    waiting.pause("m", UpstreamRefused(429, b"", {"retry-after-ms": "30"}), 1)
    waiting.pause("m", UpstreamRefused(429, b"", {"retry-after-ms": "1"}), 1)
    now = asyncio.get_running_loop().time
    began = now()
    other = asyncio.create_task(waiting.wait("other"))
    await asyncio.sleep(0)
    assert other.done()
    await asyncio.gather(waiting.wait("m"), waiting.wait("m"))
    assert now() - began >= 0.03
    await waiting.wait("m")
