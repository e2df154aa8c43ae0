"""Pauses between calls in the background."""

import asyncio

import pytest

from gateway.errors import (
    Overloaded,
    PreceptorError,
    UpstreamRefused,
    UpstreamResting,
    UpstreamTimeout,
    UpstreamUnreachable,
)
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


async def test_one_that_never_answered_is_given_up_for_all_calls_that_wait() -> None:
    """After a second try, or at once where our own breaker rests: that is no word of a provider."""
    refused, resting = UpstreamUnreachable("refused"), UpstreamResting("rests", headers={"retry-after": "5"})
    waiting = patience()
    waiting.pause("m", refused, TRIES - 1)
    await waiting.wait("m")
    with pytest.raises(UpstreamUnreachable):
        waiting.pause("m", refused, TRIES)
    with pytest.raises(UpstreamUnreachable):
        await waiting.wait("m")
    await waiting.wait("other")
    with pytest.raises(UpstreamResting):
        patience().pause("m", resting, 1)


@pytest.mark.parametrize("answer", [None, UpstreamRefused(503, b"", {})])
async def test_one_that_has_answered_is_waited_for_while_it_rests(answer: UpstreamRefused | None) -> None:
    """An answer, or a refusal, shows that somebody is there; what rests now was busy."""
    waiting, resting = patience(), UpstreamResting("rests", headers={"retry-after-ms": "1"})
    if answer is None:
        waiting.answered("m")
    else:
        waiting.pause("m", answer, TRIES - 1)
    waiting.pause("m", resting, PATIENT_TRIES - 1)
    with pytest.raises(UpstreamResting):
        waiting.pause("m", resting, PATIENT_TRIES)
    await waiting.wait("m")


async def test_an_answer_that_comes_late_ends_the_absence() -> None:
    """One of several first calls got through."""
    waiting = patience()
    with pytest.raises(UpstreamUnreachable):
        waiting.pause("m", UpstreamUnreachable("refused"), TRIES)
    waiting.answered("m")
    await waiting.wait("m")


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
