"""What a refused client is told, in OpenAI's form."""

import json

import pytest

from gateway.quotas.meter import Meter, Need, Reason
from gateway.quotas.refusals import about, refusal
from gateway.settings.quotas import Budget, Limits

NOW, WALL = 500.5, 1_798_761_600.0
ASK = Need(bucket=100, tokens=30, cost=2_000_000)


def full() -> Meter:
    meter = Meter("key", "team")
    meter.limits = Limits(requests_per_minute=1, tokens_per_minute=40, concurrent=1)
    meter.budget = Budget(usd=0.003, per="day")
    assert meter.take(ASK) is None
    return meter


@pytest.mark.parametrize(
    ("reason", "type_", "code", "after", "words"),
    [("requests", "requests", "rate_limit_exceeded", "65", "1 requests a minute"),
     ("tokens", "tokens", "rate_limit_exceeded", "65", "40 tokens a minute"),
     ("concurrent", "requests", "rate_limit_exceeded", "1", "1 requests at once"),
     ("budget", "insufficient_quota", "insufficient_quota", "86400", "of $0.003 a day, $0.001000 is left")],
)  # fmt: skip
def test_a_refusal_says_whose_limit_it_is_and_when_to_come_back(
    reason: Reason, type_: str, code: str, after: str, words: str
) -> None:
    """In the shape of every error; a client does not try again by itself where money is missing."""
    error = refusal(full(), reason, ASK, NOW, WALL)
    shown = json.loads(error.body())["error"]
    assert (error.status, shown["type"], shown["code"], error.headers["retry-after"]) == (429, type_, code, after)
    assert words in shown["message"] and "key 'team'" in shown["message"]
    assert error.headers.get("x-should-retry") == ("false" if reason == "budget" else None)


def test_limits_are_told_with_every_reply() -> None:
    """In total, what is left, and when it is whole again."""
    assert dict(about(full(), 100, NOW)) == {
        b"x-ratelimit-limit-requests": b"1",
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": b"64.500s",
        b"x-ratelimit-limit-tokens": b"40",
        b"x-ratelimit-remaining-tokens": b"10",
        b"x-ratelimit-reset-tokens": b"64.500s",
    }
