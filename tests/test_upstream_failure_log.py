"""An upstream's failure leaves a line, and an outage no flood of them."""

import contextlib

import pytest

from gateway.errors import UpstreamBroken
from gateway.settings import UpstreamLimits
from gateway.upstream.base import Call
from gateway.upstream.failure_log import QUIET_S, FailureLog
from gateway.upstream.guarded import Guarded
from tests.fakes import Answer, FakeReply, FakeUpstream

CALL = Call(model="x", body=b"{}", path="/chat/completions", stream=False)


def test_the_first_failure_is_told_at_once_and_then_a_number(caplog: pytest.LogCaptureFixture) -> None:
    """However many calls fail."""
    now = [0.0]
    failures = FailureLog("mock", lambda: now[0])
    for second in (0.0, 1.0, 2.0, QUIET_S, QUIET_S + 1):
        now[0] = second
        failures.note("it answered with status 500", 3)
    first = "upstream 'mock' failed: it answered with status 500 (attempts: 3)"
    assert [record.getMessage() for record in caplog.records] == [
        first,
        f"{first}; 2 more calls failed since the last line",
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (FakeReply(500, [b'{"error": "secret"}'], {}), "failed: it answered with status 500 (attempts: 2)"),
        (UpstreamBroken("it hung up", sent=True), "failed: UpstreamBroken (attempts: 2)"),
        (FakeReply(400, [b"secret"], {}), ""),
    ],
)
async def test_what_retries_did_not_mend_is_told(answer: Answer, told: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a word of the upstream's, which may quote the request; a refusal is the request's own fault."""

    async def at_once(seconds: float) -> None: ...

    guarded = Guarded(FakeUpstream(lambda body: answer), "mock", UpstreamLimits(retries=1), sleep=at_once)
    with contextlib.suppress(UpstreamBroken):
        await (await guarded.send(CALL)).aclose()
    assert told in caplog.text and "secret" not in caplog.text and bool(caplog.text) == bool(told)
