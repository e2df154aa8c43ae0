"""An upstream's error status becomes the client's error."""

import pytest

from gateway.errors import UpstreamGarbage, UpstreamRefused
from gateway.upstream.base import BufferedReply
from gateway.upstream.refusal import refusal, refuse


async def test_a_refusal_keeps_status_words_and_headers_of_interest() -> None:
    """Not the others."""
    reply = BufferedReply(b"slow down", status=429, headers={"retry-after": "3", "set-cookie": "x"})
    error = await refusal(reply, "mock")
    assert (error.status, dict(error.headers)) == (429, {"retry-after": "3"}) and "slow down" in error.words()


@pytest.mark.parametrize(("status", "kind"), [(302, UpstreamGarbage), (404, UpstreamRefused)])
async def test_a_status_that_is_no_error_is_one_all_the_same(status: int, kind: type[Exception]) -> None:
    """A redirect answers no request for a model."""
    with pytest.raises(kind):
        await refuse(BufferedReply(b"", status=status), "mock")
