"""``POST /v1/feedback``: acknowledged once it is stored, refused with the key that is wrong."""

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.feedback import parse
from gateway.domain import Feedback
from gateway.errors import BadRequest
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeUpstream, MoodyStore, Served, asked, served

PATH = "/v1/feedback"


async def answered(gateway: Served) -> str:
    """The id of an exchange."""
    reply = await gateway.client.post("/v1/chat/completions", json=asked())
    return str(reply.json()["id"])


@pytest.mark.parametrize(
    "given",
    [{"correct": False}, {"score": 0.5}, {"expected": {"any": [1, "thing"]}}, {"correct": True, "comment": "!"}],
)
async def test_feedback_needs_the_reply_s_id_and_an_opinion(given: dict[str, Any]) -> None:
    """Sent right after the reply, it finds its exchange, which may still be on its way to the store."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        exchange_id = await answered(gateway)
        reply = await gateway.client.post(PATH, json={"id": exchange_id, **given})
        (graded,) = gateway.services.store.graded("arithmetic", limit=9)
    assert reply.status_code == 200
    assert reply.json() == {"id": exchange_id, "object": "feedback", "stored": True}
    assert graded.exchange.id == exchange_id
    assert {name: getattr(graded.feedback, name) for name in given} == given
    assert graded.feedback.created > 0


async def test_feedback_says_with_which_key_it_came() -> None:
    """So that it can be traced, and undone."""
    text = CONFIG + f'[keys.team-a]\nhash = "sha256:{hashlib.sha256(b"k").hexdigest()}"\n'
    async with served(FakeUpstream(lambda body: "4"), text) as gateway:
        gateway.client.headers["authorization"] = "Bearer k"
        reply = await gateway.client.post(PATH, json={"id": await answered(gateway), "correct": True})
        (graded,) = gateway.services.store.graded("arithmetic", limit=9)
    assert (reply.status_code, graded.feedback.key, graded.feedback.labeller) == (200, "team-a", "")


KEYS = "".join(
    f'[keys.{name}]\nhash = "sha256:{hashlib.sha256(name.encode()).hexdigest()}"\n{more}\n'
    for name, more in (("team-a", ""), ("team-b", ""), ("labels", 'feedback = "any"'))
)


async def test_a_key_judges_its_own_replies_only() -> None:
    """Another key learns nothing of the exchange; a key for people who label may judge any."""
    async with served(FakeUpstream(lambda body: "4"), CONFIG + KEYS) as gateway:
        gateway.client.headers["authorization"] = "Bearer team-a"
        exchange_id = await answered(gateway)
        statuses = []
        for key in ("team-a", "team-b", "labels"):
            gateway.client.headers["authorization"] = f"Bearer {key}"
            reply = await gateway.client.post(PATH, json={"id": exchange_id, "correct": True, "labeller": "ann"})
            statuses.append(reply.status_code)
        (graded,) = gateway.services.store.graded("arithmetic", limit=9)
    assert statuses == [200, 404, 200]
    assert (graded.feedback.key, graded.feedback.labeller) == ("labels", "ann")


async def test_feedback_finds_a_reply_by_the_client_s_own_name() -> None:
    """``ref`` is the request's ``x-client-request-id``; the answer says the exchange's id."""
    async with served(FakeUpstream(lambda body: "4"), CONFIG + KEYS) as gateway:
        gateway.client.headers["authorization"] = "Bearer team-a"
        named = {"x-client-request-id": "order-17"}
        asked_ = await gateway.client.post("/v1/chat/completions", json=asked(), headers=named)
        reply = await gateway.client.post(PATH, json={"ref": "order-17", "expected": 4})
        unknown = await gateway.client.post(PATH, json={"ref": "order-18", "expected": 4})
        gateway.client.headers["authorization"] = "Bearer team-b"
        foreign = await gateway.client.post(PATH, json={"ref": "order-17", "expected": 4})
    assert reply.json() == {"id": asked_.json()["id"], "object": "feedback", "stored": True}
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "ref")
    assert foreign.status_code == 404


async def test_an_unknown_id_is_404() -> None:
    """An id that no exchange has names itself as the parameter."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.post(PATH, json={"id": "chatcmpl-nobody", "correct": True})
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (404, "id", "exchange_not_found")


class Behind(MemoryStore):
    """A store in which every exchange appears only after somebody has asked for it in vain."""

    asked_in_vain = False

    def add_feedback(self, feedback: Feedback) -> bool:
        if self.asked_in_vain:
            return super().add_feedback(feedback)
        self.asked_in_vain = True
        return False


@pytest.mark.parametrize(("workers", "status"), [(1, 404), (2, 200)])
async def test_feedback_waits_for_what_another_worker_has_in_its_queue(workers: int, status: int) -> None:
    """A moment; one worker alone has nobody to wait for."""
    text = CONFIG.replace("port = 0", f"port = 0\nworkers = {workers}")
    async with served(FakeUpstream(lambda body: "4"), text, Behind()) as gateway:
        reply = await gateway.client.post(PATH, json={"id": await answered(gateway), "correct": True})
    assert reply.status_code == status


WRONG: dict[str, tuple[bytes, str | None]] = {
    "empty": (b"", None),
    "not JSON": (b"{", None),
    "not UTF-8": (b'{"id":"\xff"}', None),
    "not an object": (b"[]", None),
    "no id": (b'{"correct":true}', "id"),
    "an id that is none": (b'{"id":7,"correct":true}', "id"),
    "a word for correct": (b'{"id":"a","correct":"yes"}', "correct"),
    "a score above 1": (b'{"id":"a","score":1.5}', "score"),
    "a score below 0": (b'{"id":"a","score":-1}', "score"),
    "expected null": (b'{"id":"a","expected":null}', "expected"),
    "an infinite number": (b'{"id":"a","expected":1e999}', "expected"),
    "a misspelt key": (b'{"id":"a","corect":true}', "corect"),
    "no opinion": (b'{"id":"a","comment":"hm"}', None),
    "a huge number": (b'{"id":"a","expected":1' + b"0" * 400 + b"}", "expected"),
    "a huge number inside": (b'{"id":"a","expected":{"x":[1e305]}}', "expected"),
    "not a number": (b'{"id":"a","expected":NaN}', None),
    "nesting": (b'{"id":"a","expected":' + b"[" * 60 + b"]" * 60 + b"}", "expected"),
    "no exchange": (b'{"correct":true}', "id"),
    "two exchanges": (b'{"id":"a","ref":"b","correct":true}', "id"),
    "a long comment": (b'{"id":"a","correct":true,"comment":"' + b"x" * 20_001 + b'"}', "comment"),
    "a long name": (b'{"id":"a","correct":true,"labeller":"' + b"x" * 201 + b'"}', "labeller"),
    "deep nesting": (b'{"id":"a","expected":' + b"[" * 20_000 + b"]" * 20_000 + b"}", None),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_body_is_400_and_names_the_key(case: str) -> None:
    """In OpenAI's shape, with the parameter where one key is at fault."""
    body, param = WRONG[case]
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.post(PATH, content=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert set(error) == {"message", "type", "param", "code"}


async def test_a_body_beyond_the_limit_is_413() -> None:
    """Feedback is small: 1 MB at most."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.post(PATH, json={"id": "a", "comment": "x" * 10**6})
    assert (reply.status_code, reply.json()["error"]["type"]) == (413, "invalid_request_error")


async def test_feedback_that_cannot_be_stored_is_not_acknowledged() -> None:
    """While the store is away the answer is 503, within the writer's deadline; the same feedback works afterwards."""
    store = MoodyStore()
    async with served(FakeUpstream(lambda body: "4"), store=store) as gateway:
        exchange_id = await answered(gateway)
        await gateway.recorded(exchange_id)
        store.down = True
        refused = await gateway.client.post(PATH, json={"id": exchange_id, "correct": True})
        store.down = False
        taken = await gateway.client.post(PATH, json={"id": exchange_id, "correct": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert taken.status_code == 200


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_parsing_never_fails_otherwise(body: bytes) -> None:
    """Arbitrary bytes are feedback or ``BadRequest``."""
    with contextlib.suppress(BadRequest):
        assert isinstance(parse(body, 1.0), Feedback)
