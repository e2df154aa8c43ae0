"""Failures worth another attempt, and the pause before it.

Follows OpenAI's SDKs, which would repeat the request themselves: their statuses, ``x-should-retry`` and
``retry-after-ms``. Narrower in two ways. A request with possible side effects (not ``repeatable``) is repeated only if
the upstream cannot have acted on it. And a reply that did not begin in time is not repeated: a second attempt doubles
the wait, and a generation that goes on unseen is billed twice.

Decides only; ``upstream.guarded`` counts, waits and sends.
"""

import math
import re
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

from gateway.errors import UpstreamBroken, UpstreamError, UpstreamGarbage, UpstreamTimeout, UpstreamUnreachable

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 4.0

SHOULD_RETRY = "x-should-retry"
"""The header in which a server says ``true`` or ``false`` to OpenAI's SDKs."""

_BUSY_OR_FAILING = frozenset({408, 409, 429, 500, 502, 503, 504, 529, *range(520, 524)})
"""409 is a lock that was not had in time; 520 to 523 are Cloudflare's for a server that it cannot reach; 529 is
Anthropic's for overload."""

_NUMBER = re.compile(r"\d+(?:\.\d*)?", re.ASCII)


def after_status(status: int, headers: Mapping[str, str], *, repeatable: bool) -> bool:
    """Decide whether a reply with this status is worth another attempt. ``headers`` are in lower case."""
    if status < 400:
        return False
    advice = headers.get(SHOULD_RETRY)
    if advice in ("true", "false"):
        return advice == "true"
    refused = status == 429 or (status == 503 and ("retry-after" in headers or "retry-after-ms" in headers))
    return status in _BUSY_OR_FAILING and (repeatable or refused)


def after_error(error: UpstreamError, *, repeatable: bool) -> bool:
    """Decide whether a request without an answer is worth another attempt.

    Garbage is worth it: bytes left over on a connection look like garbage, and the next connection has none.
    """
    if not error.sent and isinstance(error, UpstreamUnreachable | UpstreamTimeout):
        return True
    return repeatable and isinstance(error, UpstreamUnreachable | UpstreamBroken | UpstreamGarbage)


def asked_s(headers: Mapping[str, str], now: float) -> float:
    """Return the seconds of pause that the upstream asks for; 0 without a readable header.

    ``retry-after-ms`` comes before ``retry-after`` (seconds or a date); ``now`` is in seconds since the epoch.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    value = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    return max(0.0, _date(value) - now)


def _date(value: str) -> float:
    """Read an HTTP date (RFC 9110, section 5.6.7) as seconds since the epoch; long ago for any other text."""
    try:
        parsed = parsedate_tz(value)
        return -math.inf if parsed is None else float(mktime_tz(parsed))
    except (ValueError, OverflowError, IndexError, TypeError):
        return -math.inf


def backoff_s(retries: int, share: float) -> float:
    """Return the seconds of pause after so many retries: an evenly drawn share (0..1) of a time that doubles.

    "Full jitter" of Brooker, *Exponential Backoff And Jitter* (AWS Architecture Blog, 2015): the fewest calls under
    contention in that comparison.
    """
    return share * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0**retries)
