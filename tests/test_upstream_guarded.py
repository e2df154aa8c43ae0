"""A guarded upstream: what is repeated and what is not, who waits, and when the upstream is left alone."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.http import error_headers
from gateway.errors import (
    ModelNotFound,
    Overloaded,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamResting,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import UpstreamLimits
from gateway.upstream.base import Call, Upstream
from gateway.upstream.guarded import Event, Guarded
from gateway.upstream.http import HttpUpstream
from optimizer.demo.loopback import loopback_server
from tests.fakes import Answer, FakeReply, FakeUpstream, events, read_request

CALL = Call(model="tiny-1b", body=b'{"model":"tiny-1b"}')
EVENT_STREAM = {"content-type": "text/event-stream"}
STREAM = msgspec.structs.replace(CALL, stream=True)
DELETE = msgspec.structs.replace(CALL, method="DELETE", path="/files/f-1", once=True)
WALL = 1_700_000_000.0
BRIEF = 0.01
"""Seconds of a time-out that a test lets run out."""

REFUSED = UpstreamUnreachable("refused", sent=False)


def status(code: int, **headers: str) -> FakeReply:
    return FakeReply(code, [b'{"error":"no"}'], {name.replace("_", "-"): value for name, value in headers.items()})


class Hanging(FakeReply):
    """A reply whose body never goes on after its chunks."""

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in super().chunks():
            yield chunk
        await asyncio.Event().wait()


class Scene:
    """A guarded upstream over answers in turn (the last one again and again), with a clock that sleeping moves."""

    answers_after_s = 0.0

    def __init__(self, *answers: Answer, upstream: Upstream | None = None, **limits: Any) -> None:
        turns = iter(answers)
        last: list[Answer] = []

        def script(body: dict[str, Any]) -> Answer:
            self.now += self.answers_after_s
            last[:] = [next(turns, *last)]
            return last[0]

        self.now = 100.0
        self.pauses: list[float] = []
        self.told: list[Event] = []
        self.fake = FakeUpstream(script)
        self.guarded = Guarded(
            upstream or self.fake,
            "mock",
            UpstreamLimits(**limits),
            clock=lambda: self.now,
            wall_clock=lambda: WALL + self.now,
            sleep=self.sleep,
            random=lambda: 0.5,
            observe=self.told.append,
        )

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def asked(self) -> int:
        """Requests that reached the upstream."""
        return len(self.fake.bodies)

    async def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with contextlib.suppress(UpstreamError):
                await take(self.guarded)


async def take(to: Upstream, call: Call = CALL) -> tuple[int, Mapping[str, str], bytes]:
    reply = await to.send(call)
    try:
        return reply.status, reply.headers, await reply.read()
    finally:
        await reply.aclose()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


# Retries


@pytest.mark.parametrize(
    "failure", [REFUSED, UpstreamBroken("cut"), UpstreamGarbage("what?"), status(503), status(429), status(500)]
)
@pytest.mark.parametrize("call", [CALL, STREAM], ids=["whole", "stream"])
async def test_a_failure_before_the_first_byte_is_repeated(failure: Answer, call: Call) -> None:
    """The client sees the success, and nothing of what came before it."""
    scene = Scene(failure, "four")
    code, headers, body = await take(scene.guarded, call)
    assert code == 200 and b"four" in body and "x-should-retry" not in headers
    assert scene.asked == 2 and scene.fake.raw_bodies == [call.body] * 2 and scene.told == ["retry"]
    assert scene.guarded.in_flight == 0 and all(reply.closed for reply in scene.fake.replies)


async def test_pauses_double_and_are_drawn_at_random() -> None:
    """Half of the longest is what this test's randomness draws."""
    scene = Scene(status(500), retries=5, breaker_failures=99)
    await take(scene.guarded)
    assert scene.pauses == [0.125, 0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after": "2"}, 2),
        ({"retry_after_ms": "200"}, 0.2),
        ({"retry_after": formatdate(WALL + 100 + 3, usegmt=True)}, 3),
        ({"retry_after": "8"}, 8),
    ],
)
async def test_retry_after_is_waited_for(headers: dict[str, str], pause: float) -> None:
    """Not less than was asked for, and a little more, so that those who were told the same do not come together."""
    scene = Scene(status(429, **headers), "four", retry_after_cap_s=8)
    assert (await take(scene.guarded))[0] == 200
    assert scene.pauses == [pytest.approx(pause + 0.125)]


async def test_a_long_retry_after_goes_to_the_client() -> None:
    """It is not waited for here; the client learns how long, and may repeat."""
    scene = Scene(status(429, retry_after="9"), retry_after_cap_s=8)
    code, headers, body = await take(scene.guarded)
    assert (code, dict(headers), body) == (429, {"retry-after": "9"}, b'{"error":"no"}')
    assert scene.asked == 1 and scene.pauses == []


async def test_the_last_of_all_replies_tells_the_client_not_to_repeat() -> None:
    """Two retries here times two in the client's SDK would be nine requests."""
    scene = Scene(status(503, x_request_id="up-1", x_should_retry="true"), retries=2)
    code, headers, body = await take(scene.guarded)
    assert (code, body) == (503, b'{"error":"no"}') and scene.asked == 3
    assert headers == {"x-request-id": "up-1", "x-should-retry": "false"}


async def test_the_last_of_all_errors_tells_the_client_not_to_repeat() -> None:
    """An error that is raised carries the header to the response."""
    scene = Scene(REFUSED, retries=1)
    with pytest.raises(UpstreamUnreachable) as caught:
        await take(scene.guarded)
    assert scene.asked == 2 and error_headers(caught.value) == [(b"x-should-retry", b"false")]


async def test_without_retries_the_upstreams_word_stands() -> None:
    """What was not repeated here may be repeated by the client."""
    scene = Scene(status(503, x_should_retry="true"), UpstreamBroken("cut"), retries=0)
    assert (await take(scene.guarded))[1] == {"x-should-retry": "true"}
    with pytest.raises(UpstreamBroken) as caught:
        await take(scene.guarded)
    assert scene.asked == 2 and error_headers(caught.value) == []


@pytest.mark.parametrize(
    "answer", [status(400), status(404), status(501), status(503, x_should_retry="false")], ids=lambda a: str(a.status)
)
async def test_a_refusal_is_handed_on_as_it_is(answer: FakeReply) -> None:
    """Asked again, the upstream would say the same, or it asks not to be."""
    scene = Scene(answer)
    code, headers, body = await take(scene.guarded)
    assert (code, headers, body) == (answer.status, answer.headers, b'{"error":"no"}') and scene.asked == 1


async def test_a_refusal_after_a_retry_is_handed_on_as_it_is() -> None:
    """Only a failure that would be repeated once more is marked."""
    scene = Scene(status(500), status(400), retries=1)
    assert (await take(scene.guarded))[:2] == (400, {})


@pytest.mark.parametrize(("sent", "asked"), [(True, 1), (False, 3)])
async def test_only_the_time_out_of_a_connection_is_repeated(sent: bool, asked: int) -> None:
    """A reply that was late may still be under way; a connection that was not made carried nothing."""
    scene = Scene(UpstreamTimeout("late", sent=sent), retries=2)
    with pytest.raises(UpstreamTimeout):
        await take(scene.guarded)
    assert scene.asked == asked


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        (REFUSED, 2),
        (status(429), 2),
        (status(503, retry_after="1"), 2),
        (status(500, x_should_retry="true"), 2),
        (status(503), 1),
        (status(500), 1),
        (UpstreamUnreachable("closed without an answer"), 1),
        (UpstreamBroken("cut"), 1),
        (UpstreamGarbage("what?"), 1),
    ],
)
async def test_what_may_have_changed_something_is_sent_once(failure: Answer, asked: int) -> None:
    """Outside of the model endpoints a request is repeated only if the upstream did not act on it."""
    scene = Scene(failure, retries=1)
    with contextlib.suppress(UpstreamError):
        await take(scene.guarded, DELETE)
    assert scene.asked == asked


async def test_no_attempt_begins_after_the_time_for_the_first_byte() -> None:
    """Retries do not prolong the time in which a reply has to begin."""
    scene = Scene(status(500, retry_after="4"), retries=10, first_byte_timeout_s=10, breaker_failures=99)
    assert (await take(scene.guarded))[1] == {"retry-after": "4"}
    assert scene.asked == 3 and scene.now < 110


# The first piece of a stream


async def test_a_stream_is_whole_although_its_first_piece_was_awaited() -> None:
    """Every piece arrives, as it was and in its order, also if it is read at once."""
    chunks = events(["a", "b"])
    scene = Scene(FakeReply(200, [b"", *chunks], {}))
    reply = await scene.guarded.send(STREAM)
    assert [piece async for piece in reply.chunks()] == chunks
    assert (await take(scene.guarded, STREAM))[2] == b"".join(chunks)


@pytest.mark.parametrize(
    "broken",
    [
        FakeReply(200, [UpstreamBroken("cut")], {}),
        FakeReply(200, [], EVENT_STREAM),
        FakeReply(200, [UpstreamGarbage("no")], {}),
    ],
    ids=["broken", "empty", "garbage"],
)
async def test_a_stream_that_ends_before_it_begins_is_repeated(broken: FakeReply) -> None:
    """A status without a first piece is no answer yet."""
    scene = Scene(broken, "four")
    assert b"four" in (await take(scene.guarded, STREAM))[2]
    assert scene.asked == 2 and broken.closed


async def test_an_empty_stream_is_an_error_in_the_end() -> None:
    """No 200 without a body."""
    scene = Scene(FakeReply(200, [], EVENT_STREAM), retries=1)
    with pytest.raises(UpstreamBroken, match="before the first byte") as caught:
        await take(scene.guarded, STREAM)
    assert caught.value.headers == {"x-should-retry": "false"} and scene.guarded.in_flight == 0


async def test_an_empty_answer_that_is_no_stream_of_events_is_an_answer() -> None:
    """A file that was deleted has nothing to say."""
    scene = Scene(FakeReply(204, [], {}))
    assert (await take(scene.guarded, STREAM))[2] == b"" and scene.asked == 1 and scene.guarded.in_flight == 0


async def test_a_stream_that_does_not_begin_times_out_and_is_not_repeated() -> None:
    """The upstream's reply is closed, which stops it, and the place is free again."""
    hanging = Hanging(200, [], {})
    scene = Scene(hanging, first_byte_timeout_s=BRIEF)
    with pytest.raises(UpstreamTimeout, match=f"no first byte within {BRIEF:g} s"):
        await take(scene.guarded, STREAM)
    assert scene.asked == 1 and hanging.closed and scene.guarded.in_flight == 0


async def test_the_time_for_the_first_byte_includes_the_status() -> None:
    """An upstream that took all of it for its status has none left for its first piece."""
    scene = Scene(Hanging(200, [], {}), first_byte_timeout_s=1000.0)
    scene.answers_after_s = 1000.0
    with pytest.raises(UpstreamTimeout, match="within 1000 s"):
        await take(scene.guarded, STREAM)


async def test_after_the_first_byte_nothing_is_repeated() -> None:
    """The client has a part of the reply: the error is its caller's to tell."""
    scene = Scene(FakeReply(200, [b"data: 1\n\n", UpstreamBroken("cut")], {}))
    reply = await scene.guarded.send(STREAM)
    pieces = []
    with pytest.raises(UpstreamBroken):
        async for piece in reply.chunks():
            pieces.append(piece)  # noqa: PERF401 - the pieces before the error are wanted
    await reply.aclose()
    assert pieces == [b"data: 1\n\n"] and scene.asked == 1


async def test_a_redirect_in_place_of_a_stream_is_handed_on() -> None:
    """It has no first piece to wait for; whoever knows what it means says so."""
    assert (await take(Scene(FakeReply(302, [], {})).guarded, STREAM))[0] == 302


# Places


async def test_a_call_over_the_limit_waits_for_its_turn() -> None:
    """It is sent as soon as another one's reply is closed."""
    scene = Scene("four", max_connections=1)
    first = await scene.guarded.send(CALL)
    second = asyncio.create_task(take(scene.guarded))
    await settle()
    assert (scene.asked, scene.guarded.in_flight, scene.guarded.waiting) == (1, 1, 1)
    await first.aclose()
    assert (await second)[0] == 200 and scene.guarded.in_flight == 0


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["whole", "stream"])
async def test_a_reply_that_was_read_to_its_end_holds_no_place(call: Call) -> None:
    """Closing it then, once or twice, gives nothing back a second time."""
    scene = Scene("four", max_connections=2)
    reply, other = await scene.guarded.send(call), await scene.guarded.send(call)
    assert scene.guarded.in_flight == 2
    async for _ in reply.chunks():
        pass
    assert scene.guarded.in_flight == 1
    await reply.aclose()
    await reply.aclose()
    assert scene.guarded.in_flight == 1
    await other.aclose()
    assert scene.guarded.in_flight == 0


async def test_who_waits_too_long_is_told_to_come_back() -> None:
    """A 503 of the gateway's own, with its ``Retry-After``; the upstream was not asked."""
    scene = Scene("four", max_connections=1, queue_timeout_s=BRIEF)
    reply = await scene.guarded.send(CALL)
    with pytest.raises(Overloaded, match="'mock' is busy") as caught:
        await scene.guarded.send(CALL)
    assert (caught.value.status, caught.value.code) == (503, "upstream_busy")
    assert error_headers(caught.value) == [(b"retry-after", b"1")]
    assert (scene.asked, scene.guarded.waiting) == (1, 0)
    await reply.aclose()


class Stuck(FakeUpstream):
    """Hangs in one of the ways in which an upstream can."""

    def __init__(self, where: str) -> None:
        super().__init__(lambda body: Hanging(200, [] if where == "first" else [b"data: 1\n\n"], {}))
        self.where = where

    async def send(self, call: Call) -> FakeReply:
        if self.where == "status":
            await asyncio.Event().wait()
        return await super().send(call)


@pytest.mark.parametrize("where", ["status", "first", "body"])
async def test_a_cancelled_call_gives_its_place_back(where: str) -> None:
    """Wherever it waited; the upstream's reply is closed, and its health is not doubted."""
    stuck = Stuck(where)
    scene = Scene(upstream=stuck, max_connections=1, breaker_failures=1)
    calling = asyncio.create_task(take(scene.guarded, STREAM))
    await settle()
    assert scene.guarded.in_flight == 1 and not calling.done()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    assert calling.cancelled() and scene.guarded.in_flight == 0
    assert all(reply.closed for reply in stuck.replies) and scene.guarded.ready() is None


async def test_a_call_cancelled_in_its_pause_gives_its_place_back() -> None:
    """A client that hangs up while the gateway waits to repeat is not repeated."""

    class Asleep(Scene):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    scene = Asleep(status(503))
    calling = asyncio.create_task(take(scene.guarded))
    await settle()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    assert (scene.asked, scene.guarded.in_flight) == (1, 0) and scene.fake.replies[0].closed


async def test_a_failed_call_gives_its_place_back() -> None:
    """Also when the failure is not an upstream's."""
    scene = Scene(ModelNotFound("gpt-9"), RuntimeError("a bug"))
    with pytest.raises(ModelNotFound):
        await scene.guarded.send(CALL)
    with pytest.raises(RuntimeError):
        await scene.guarded.send(CALL)
    assert scene.guarded.in_flight == 0


async def test_one_can_wait_until_nothing_is_under_way() -> None:
    """An upstream that a new configuration has no more is closed then, not in the middle of a reply."""
    scene = Scene("four")
    await scene.guarded.idle()
    reply = await scene.guarded.send(STREAM)
    idle = asyncio.create_task(scene.guarded.idle())
    await settle()
    assert not idle.done()
    await reply.aclose()
    await idle


# The breaker


FAILURES = [
    REFUSED,
    UpstreamGarbage("what?"),
    UpstreamBroken("cut"),
    UpstreamTimeout("late"),
    status(500),
    status(502),
    status(503),
    status(529),
    FakeReply(200, [UpstreamBroken("cut")], {}),
    FakeReply(200, [b"{", UpstreamTimeout("idle")], {}),
]


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: str(getattr(failure, "status", failure)))
async def test_after_failures_in_a_row_the_upstream_is_left_alone(failure: Answer, call: Call) -> None:
    """Requests fail at once then, with the seconds until the next attempt, and nothing is sent."""
    scene = Scene(failure, retries=0, breaker_failures=3, breaker_rest_s=5)
    for _ in range(3):
        assert scene.guarded.ready() is None
        with contextlib.suppress(UpstreamError):
            await take(scene.guarded, call)
    scene.now += 1.5
    with pytest.raises(UpstreamResting, match="failed 3 times in a row and is left alone for 4 s") as caught:
        await scene.guarded.send(call)
    assert (caught.value.status, caught.value.code) == (503, "upstream_resting")
    assert error_headers(caught.value) == [(b"retry-after", b"4")]
    assert scene.asked == 3 and scene.guarded.in_flight == 0 and scene.told == ["resting"]


@pytest.mark.parametrize("answer", [status(429), status(400), status(404), status(401), status(501), "four"])
async def test_an_upstream_that_answers_is_well(answer: Answer) -> None:
    """A refusal is an answer: the count of failures begins anew."""
    scene = Scene(REFUSED, answer, REFUSED, answer, REFUSED, answer, retries=0, breaker_failures=2)
    await scene.fail(6)
    assert scene.asked == 6 and scene.guarded.ready() is None


async def test_every_attempt_counts() -> None:
    """Retries of one request open the breaker too, and it ends them; the client may come back then."""
    scene = Scene(status(503), retries=9, breaker_failures=3)
    assert (await take(scene.guarded))[:2] == (503, {})
    assert scene.asked == 3 and scene.told == ["retry", "retry", "resting"]


async def test_an_upstream_that_rests_says_so_when_asked_if_it_is_ready() -> None:
    """In one line, until the rest is over; the guarded upstream's own reason comes first."""
    scene = Scene(REFUSED, retries=0, breaker_failures=1, breaker_rest_s=5)
    await scene.fail()
    assert scene.guarded.ready() == "upstream 'mock' failed 1 times in a row and is left alone for 5 s"
    scene.now += 5
    assert scene.guarded.ready() is None


async def test_one_probe_after_the_rest_decides() -> None:
    """While it is under way the others are turned away; its success lets everybody in."""
    scene = Scene(REFUSED, "four", retries=0, breaker_failures=1, breaker_rest_s=5)
    await scene.fail()
    scene.now += 5
    probe = await scene.guarded.send(CALL)
    with pytest.raises(UpstreamResting):
        await scene.guarded.send(CALL)
    await probe.read()
    await probe.aclose()
    assert (await take(scene.guarded))[0] == 200 and scene.told == ["resting", "recovered"]


async def test_a_probe_that_streams_has_proved_enough_with_its_first_piece() -> None:
    """Nobody is turned away while it goes on for minutes."""
    scene = Scene(REFUSED, "four and more", retries=0, breaker_failures=1, breaker_rest_s=5)
    await scene.fail()
    scene.now += 5
    probe = await scene.guarded.send(STREAM)
    assert (await take(scene.guarded))[0] == 200
    await probe.aclose()


async def test_a_probe_that_fails_prolongs_the_rest() -> None:
    """It is not repeated, and the next rest is twice as long."""
    scene = Scene(REFUSED, retries=2, breaker_failures=1, breaker_rest_s=5)
    await scene.fail()
    scene.now += 5
    await scene.fail()
    assert scene.asked == 2
    with pytest.raises(UpstreamResting) as caught:
        await scene.guarded.send(CALL)
    assert caught.value.headers == {"retry-after": "10"}


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["whole", "stream"])
async def test_a_probe_whose_client_hangs_up_decides_nothing(call: Call) -> None:
    """The next request is the probe then."""
    scene = Scene(REFUSED, Hanging(200, [], {}), "four", retries=0, breaker_failures=1, breaker_rest_s=5)
    await scene.fail()
    scene.now += 5
    probe = asyncio.create_task(take(scene.guarded, call))
    await settle()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert scene.told == ["resting"]
    assert (await take(scene.guarded))[0] == 200 and scene.told == ["resting", "recovered"]


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["whole", "stream"])
async def test_a_reply_that_is_closed_after_its_first_piece_was_a_success(call: Call) -> None:
    """Who has read the end of the reply need not read the end of the body."""
    scene = Scene(REFUSED, Hanging(200, events(["four"]), {}), REFUSED, retries=0, breaker_failures=2)
    await scene.fail()
    reply = await scene.guarded.send(call)
    await anext(reply.chunks())
    await reply.aclose()
    await scene.fail()
    assert scene.guarded.ready() is None


async def test_a_request_in_the_queue_does_not_wait_for_an_upstream_that_rests() -> None:
    """Neither if the rest began before it came, nor if it began while it waited."""
    scene = Scene("four", status(500), max_connections=2, retries=0, breaker_failures=1)
    held = await scene.guarded.send(CALL)
    failing = await scene.guarded.send(CALL)
    with pytest.raises(UpstreamResting):
        await scene.guarded.send(CALL)
    assert scene.guarded.in_flight == 2
    await held.aclose()
    await failing.aclose()

    hanging = FakeReply(200, [UpstreamBroken("cut")], {})
    scene = Scene(hanging, max_connections=1, retries=0, breaker_failures=1)
    reply = await scene.guarded.send(CALL)
    waiting = asyncio.create_task(scene.guarded.send(CALL))
    await settle()
    with pytest.raises(UpstreamBroken):
        await reply.read()
    await reply.aclose()
    with pytest.raises(UpstreamResting):
        await waiting
    assert (scene.asked, scene.guarded.in_flight) == (1, 0)


async def test_changes_of_the_breaker_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line when an upstream is given up, one when it is back."""
    scene = Scene(REFUSED, "four", retries=0, breaker_failures=1, breaker_rest_s=5)
    with caplog.at_level(logging.WARNING, "gateway.upstream.guarded"):
        await scene.fail()
        scene.now += 5
        await take(scene.guarded)
    actions = [getattr(record, "action", "") for record in caplog.records]
    assert actions == ["upstream.resting", "upstream.failed", "upstream.recovered"]
    assert caplog.messages[2] == "upstream 'mock' works again"


# Together


async def test_opening_closing_and_readiness_are_the_upstreams_own() -> None:
    """A guard adds nothing to them."""
    done: list[str] = []

    class Recorded(FakeUpstream):
        async def open(self) -> None:
            done.append("open")

        def ready(self) -> str | None:
            return "is loading"

        async def aclose(self) -> None:
            done.append("close")

    guarded = Scene(upstream=Recorded(lambda body: "four")).guarded
    await guarded.open()
    assert guarded.ready() == "is loading"
    await guarded.aclose()
    assert done == ["open", "close"]


ANSWERS: Sequence[Callable[[], Answer]] = [
    lambda: "four",
    lambda: status(500),
    lambda: status(429),
    lambda: status(400),
    lambda: UpstreamUnreachable("refused", sent=False),
    lambda: UpstreamBroken("cut"),
    lambda: UpstreamTimeout("late"),
    lambda: FakeReply(200, [UpstreamBroken("cut")], {}),
    lambda: FakeReply(200, [b"data: 1\n\n", UpstreamBroken("cut")], {}),
    lambda: FakeReply(200, [], {}),
    lambda: Hanging(200, [b"data: 1\n\n"], {}),
    lambda: Hanging(200, [], {}),
    lambda: ModelNotFound("gpt-9"),
]


@given(
    plan=st.lists(
        st.tuples(st.integers(0, len(ANSWERS) - 1), st.sampled_from([CALL, STREAM, DELETE]), st.integers(0, 12)),
        max_size=25,
    ),
    limit=st.integers(1, 3),
    retries=st.integers(0, 2),
)
def test_whatever_happens_every_place_comes_back(
    plan: Sequence[tuple[int, Call, int]], limit: int, retries: int
) -> None:
    """Any answers, any client hanging up at any moment: never more than the limit upstream, and none left behind."""

    asyncio.run(_play(plan, limit, retries))


class Counting(FakeUpstream):
    """Knows how many of its calls are under way."""

    sending = 0

    @property
    def under_way(self) -> int:
        return self.sending + sum(not reply.closed for reply in self.replies)

    async def send(self, call: Call) -> FakeReply:
        self.sending += 1
        try:
            await asyncio.sleep(0)
            return await super().send(call)
        finally:
            self.sending -= 1


async def _play(plan: Sequence[tuple[int, Call, int]], limit: int, retries: int) -> None:
    answers = iter(plan)
    upstream = Counting(lambda body: ANSWERS[next(answers, (0,))[0]]())
    scene = Scene(upstream=upstream, max_connections=limit, retries=retries, breaker_failures=4)
    tasks = []
    for _, call, steps in plan:
        tasks.append(asyncio.create_task(take(scene.guarded, call)))
        for _ in range(steps):
            await asyncio.sleep(0)
            assert upstream.under_way <= scene.guarded.in_flight <= limit
        if steps % 3 == 0:
            tasks[steps % len(tasks)].cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (upstream.under_way, scene.guarded.in_flight, scene.guarded.waiting) == (0, 0, 0)
    await scene.guarded.idle()


async def test_over_a_socket_a_server_that_comes_back_is_found_again() -> None:
    """A stream that a real server drops before its first byte is had at the second attempt."""
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        if connections > 1:
            for event in events(["four"]):
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    section = UpstreamLimits()
    async with loopback_server(handle) as url:
        guarded = Guarded(
            HttpUpstream("mock", section, base_url=url, api_key=None), "mock", section, random=lambda: 0.0
        )
        code, _, body = await take(guarded, STREAM)
        await guarded.aclose()
    assert (code, body, connections) == (200, b"".join(events(["four"])), 2)
