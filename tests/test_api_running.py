"""The headers of an exchange under way."""

from gateway.api.running import Running
from tests import fakes
from tests.fakes import CONFIG, settings


async def test_before_the_request_is_understood_only_its_id_is_known() -> None:
    """And nothing is recorded of it."""
    services = fakes.services(settings(CONFIG), {})
    exchange = Running(services, "chatcmpl-1")
    exchange.end("error", 400, "bad_request")
    assert exchange.headers() == [(b"x-request-id", b"chatcmpl-1")]
    assert services.writer.pending == 0
