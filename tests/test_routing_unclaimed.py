"""What no task claims, now."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange
from gateway.routing.unclaimed import still_unclaimed
from tests.fakes import settings

TASKS = settings().tasks


def exchange(body: Any) -> Exchange:
    request = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(
        id="x", created=1.0, task=None, client_model="m", model="m", arm="direct", rules=None, stream=False,
        status="ok", http_status=200, request=request,
    )  # fmt: skip


def test_what_a_task_would_recognise_by_now_is_claimed() -> None:
    """Chats and responses alike; the others stay."""
    said = [{"role": "user", "content": "2 + 2?"}]
    claimed = [exchange({"model": "gpt-4o-mini", "messages": said}), exchange({"model": "gpt-4o-mini", "input": "Hi"})]
    other = exchange({"model": "gpt-9", "messages": said})
    assert still_unclaimed([*claimed, other], TASKS) == [other]


@given(st.binary(max_size=40))
def test_what_cannot_be_read_stays_unclaimed(body: bytes) -> None:
    """Whatever was recorded."""
    one = msgspec.structs.replace(exchange({}), request=body)
    assert still_unclaimed([one], TASKS) == [one]
