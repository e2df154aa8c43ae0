"""The errors of a refused request, and the headers about limits, in OpenAI's form."""

import math
from collections.abc import Sequence

from gateway.errors import RateLimited
from gateway.quotas.meter import NANO, Meter, Need, Reason, resets_s
from gateway.quotas.periods import end_of_period

_AT_ONCE_S = 1
"""``Retry-After``, in seconds, of a request refused because others are under way."""
_RETRY_AFTER = "retry-after"

Headers = Sequence[tuple[bytes, bytes]]


def refusal(meter: Meter, reason: Reason, ask: Need, now: float, wall: float) -> RateLimited:
    """Return the error for a request. ``now`` is monotonic, ``wall`` since the epoch, both in seconds."""
    whose = f"{meter.kind} {meter.name!r}"
    if reason == "budget":
        return overdraft(meter, meter.money_left(), ask, wall)
    if reason == "concurrent":
        text = f"{meter.limits.concurrent} requests at once"
        wait = float(_AT_ONCE_S)
    else:
        limit = meter.limits.requests_per_minute if reason == "requests" else meter.limits.tokens_per_minute
        text, wait = f"{limit} {reason} a minute", meter.wait_s(reason, ask, now)
    headers = {name.decode(): value.decode() for name, value in about(meter, ask.bucket, now)}
    error = RateLimited(
        f"Rate limit reached for {whose}: {text}. Send it again in {math.ceil(wait)} s.",
        headers={_RETRY_AFTER: str(math.ceil(wait)), **headers},
    )
    error.type = "tokens" if reason == "tokens" else "requests"
    return error


def overdraft(meter: Meter, left_usd: float, ask: Need, wall: float) -> RateLimited:
    """Return the error for a request beyond a budget, with what is left of it in US dollars."""
    assert meter.budget is not None, "no request is refused without a budget"
    error = RateLimited(
        f"The budget of {meter.kind} {meter.name!r} is used up: of ${meter.budget.usd:g} a {meter.budget.per},"
        f" ${max(0.0, left_usd):.6f} is left, and this request may need ${ask.cost / NANO:.6f}.",
        code="insufficient_quota",
        headers={
            _RETRY_AFTER: str(math.ceil(end_of_period(wall, meter.budget.per) - wall)),
            "x-should-retry": "false",
        },
    )
    error.type = "insufficient_quota"
    return error


def about(meter: Meter, bucket: int, now: float) -> Headers:
    """Return the headers with the limits, their rest, and the time until they are whole again."""
    requests, tokens = meter.remaining(bucket)
    reset = b"%.3fs" % resets_s(now)
    headers: list[tuple[bytes, bytes]] = []
    if requests is not None:
        headers += [
            (b"x-ratelimit-limit-requests", b"%d" % (meter.limits.requests_per_minute or 0)),
            (b"x-ratelimit-remaining-requests", b"%d" % requests),
            (b"x-ratelimit-reset-requests", reset),
        ]
    if tokens is not None:
        headers += [
            (b"x-ratelimit-limit-tokens", b"%d" % (meter.limits.tokens_per_minute or 0)),
            (b"x-ratelimit-remaining-tokens", b"%d" % tokens),
            (b"x-ratelimit-reset-tokens", reset),
        ]
    return headers
