"""What is worth another attempt, and when: tables of statuses and errors, and every way to ask for a pause."""

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamResting,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.upstream.retry import LONGEST_BACKOFF_S, after_error, after_status, asked_s, backoff_s

NOW = 1_700_000_000.0


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520, 521, 522, 523, 529])
def test_a_busy_or_failing_upstream_is_asked_again(status: int) -> None:
    """The statuses after which OpenAI's SDKs ask again themselves."""
    assert after_status(status, {}, repeatable=True)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 413, 422, 501, 505, 524])
def test_an_answer_that_would_be_the_same_is_kept(status: int) -> None:
    """A request that was understood and refused is refused again; 524 is a generation that took too long."""
    assert not after_status(status, {}, repeatable=True)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
@pytest.mark.parametrize("again", [True, False])
def test_the_upstreams_own_word_wins(status: int, again: bool) -> None:
    """``x-should-retry`` says whether a request is worth repeating, whatever it is."""
    said = {"x-should-retry": "true"}
    assert after_status(status, said, repeatable=again)
    assert not after_status(status, {"x-should-retry": "false"}, repeatable=again)
    assert after_status(status, {"x-should-retry": "maybe"}, repeatable=again) == after_status(
        status, {}, repeatable=again
    )


def test_a_success_is_never_repeated() -> None:
    """Even if a server says so."""
    assert not after_status(200, {"x-should-retry": "true"}, repeatable=True)


@pytest.mark.parametrize(
    ("status", "headers", "worth"),
    [
        (429, {}, True),
        (503, {"retry-after": "1"}, True),
        (503, {"retry-after-ms": "10"}, True),
        (503, {}, False),
        (500, {"retry-after": "1"}, False),
        (502, {}, False),
        (409, {}, False),
    ],
)
def test_a_change_is_repeated_if_it_was_refused_beforehand(status: int, headers: dict[str, str], worth: bool) -> None:
    """A rate limit, or a server that says when to come back, did not act on the request."""
    assert after_status(status, headers, repeatable=False) is worth


@pytest.mark.parametrize("error", [UpstreamUnreachable("x"), UpstreamBroken("x"), UpstreamGarbage("x")])
def test_a_reply_that_never_began_is_asked_for_again(error: UpstreamError) -> None:
    """A connection that was lost or spoilt says nothing about the next one."""
    assert after_error(error, repeatable=True)
    assert not after_error(error, repeatable=False)


@pytest.mark.parametrize("again", [True, False])
def test_a_request_that_was_not_sent_may_always_be_sent(again: bool) -> None:
    """Without a connection nothing can have happened, also if it is the connection that took too long."""
    assert after_error(UpstreamUnreachable("refused", sent=False), repeatable=again)
    assert after_error(UpstreamTimeout("no connection", sent=False), repeatable=again)


@pytest.mark.parametrize("again", [True, False])
def test_a_reply_that_was_late_is_not_waited_for_again(again: bool) -> None:
    """A second wait doubles the first, and the first generation may still run and be billed."""
    assert not after_error(UpstreamTimeout("no first byte"), repeatable=again)


def test_an_upstream_that_rests_is_left_alone() -> None:
    """The breaker's own refusal is no failure to repeat."""
    assert not after_error(UpstreamResting("resting", sent=False), repeatable=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "3"}, 3),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after-ms": "150"}, 0.15),
        ({"retry-after-ms": "150", "retry-after": "3"}, 0.15),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"retry-after": "9" * 400}, math.inf),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "1e3"}, 0),
        ({"retry-after": "tomorrow"}, 0),
        ({"retry-after": ""}, 0),
        ({"retry-after": "٣"}, 0),
        ({"retry-after": "Tue, 14 Nov 99999 22:13:50 GMT"}, 0),
    ],
)
def test_a_pause_is_asked_for_in_three_ways(headers: dict[str, str], seconds: float) -> None:
    """Milliseconds, seconds or a date; what cannot be understood asks for nothing."""
    assert asked_s(headers, NOW) == seconds


@given(
    text=st.text() | st.from_regex(r"\w{3}, ?\d{1,3} \w{3} -?\d{1,12} \d+:\d+(:\d+)? ?[-+]?\w*"), now=st.floats(0, 2e9)
)
def test_no_header_breaks_the_decision(text: str, now: float) -> None:
    """Whatever a server writes, the pause is a number of seconds, and not a negative one."""
    assert asked_s({"retry-after": text, "retry-after-ms": text}, now) >= 0


@given(seconds=st.integers(0, 10**9), now=st.integers(0, 4 * 10**9))
def test_a_date_is_the_same_as_the_seconds_until_then(seconds: int, now: int) -> None:
    """Both forms of ``Retry-After`` mean the same moment."""
    date = formatdate(now + seconds, usegmt=True)
    assert asked_s({"retry-after": date}, now) == asked_s({"retry-after": str(seconds)}, now)


@given(retries=st.integers(0, 10), share=st.floats(0, 1))
def test_the_pause_grows_up_to_a_limit_and_is_drawn_anew(retries: int, share: float) -> None:
    """Between nothing and a time that doubles, so that clients that failed together do not come back together."""
    longest = min(LONGEST_BACKOFF_S, 0.25 * 2**retries)
    assert backoff_s(retries, 1.0) == longest
    assert 0 <= backoff_s(retries, share) <= longest
