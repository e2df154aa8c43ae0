"""Every error of every route has OpenAI's shape and tells nothing of the inside."""

import pytest

from gateway.store.memory import MemoryStore
from tests.fakes import FakeUpstream, served

CASES: dict[str, tuple[str, str, int, str, str | None]] = {
    "an unknown path": ("GET", "/v1/nothing", 404, "invalid_request_error", "unknown_url"),
    "a path outside of /v1": ("GET", "/nothing", 404, "invalid_request_error", "unknown_url"),
    "a path below the chat's": ("POST", "/v1/chat/completions/1", 404, "invalid_request_error", "unknown_url"),
    "a path with odd bytes": ("GET", "/v1/%ff%00%0d%0a", 404, "invalid_request_error", "unknown_url"),
    "a path that climbs": ("GET", "/v1/models/../../../etc/passwd", 404, "invalid_request_error", None),
    "a wrong method": ("POST", "/v1/models", 405, "invalid_request_error", "method_not_supported"),
    "a wrong method on feedback": ("GET", "/v1/feedback", 405, "invalid_request_error", "method_not_supported"),
    "an unknown method": ("PROPFIND", "/v1/models", 405, "invalid_request_error", "method_not_supported"),
}


@pytest.mark.parametrize("case", CASES)
async def test_an_error_has_status_and_shape_of_openai(case: str) -> None:
    """All four keys, JSON, and the same gateway answers the next request."""
    method, path, status, kind, code = CASES[case]
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.request(method, path)
        after = await gateway.client.get("/livez")
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (status, kind)
    assert set(error) == {"message", "type", "param", "code"}
    assert code is None or error["code"] == code
    assert reply.headers["content-type"].startswith("application/json")
    assert after.status_code == 200


class Defective(MemoryStore):
    """A store with a bug."""

    def find(self, address: object) -> str | None:
        raise RuntimeError("a secret from the inside")


async def test_a_defect_is_a_500_that_tells_nothing() -> None:
    """The client learns that it was the gateway; its type and place are in the log."""
    async with served(FakeUpstream(lambda body: "4"), store=Defective()) as gateway:
        reply = await gateway.client.post("/v1/feedback", json={"id": "a", "correct": True})
    assert (reply.status_code, reply.json()["error"]["type"]) == (500, "api_error")
    assert "secret" not in reply.text
