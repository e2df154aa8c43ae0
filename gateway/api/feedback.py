"""``POST /v1/feedback``: a client's judgement of a reply. Acknowledged once it is stored.

The client names the reply by its ``id``, or by its own ``x-client-request-id``. A key judges its own replies only,
unless its section says ``feedback = "any"``.
"""

import asyncio
import re
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from msgspec import Meta

from gateway.api.gate import holder_of
from gateway.auth import Holder
from gateway.domain import Feedback
from gateway.errors import BadRequest, NotFound, shown
from gateway.expected import excess
from gateway.formats.json_values import ValueCount
from gateway.services import Services
from gateway.store.selection import Address

_MAX_BODY = 10**6
LONGEST_COMMENT = 20_000
"""Characters of a comment."""
LONGEST_NAME = 200
"""Characters of a labeller's name."""
_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts, while another worker or another gateway may have the exchange in its queue."""


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body: ``id`` or ``ref``, and at least one of ``correct``, ``score`` (0..1) and ``expected``."""

    id: str | None = None
    ref: str | None = None
    correct: bool | None = None
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    expected: Any = msgspec.UNSET
    comment: Annotated[str, Meta(max_length=LONGEST_COMMENT)] | None = None
    labeller: Annotated[str, Meta(max_length=LONGEST_NAME)] = ""


_PLACE = re.compile(r"(?: - at `\$\.|field `)([^`]*)`$")
"""The wrong, missing or unknown key in msgspec's message."""

_body = msgspec.json.Decoder(FeedbackBody)


def parse(body: bytes, created: float, holder: Holder | None = None) -> tuple[Feedback, Address]:
    """Decode feedback by the holder of a key. Raises ``BadRequest`` with the wrong field."""
    try:
        given = _body.decode(body)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        message = str(error).partition(" - at `$")[0]
        raise BadRequest(message, param=place[1] if place else None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from None
    if (given.id is None) == (given.ref is None):
        raise BadRequest("Give either 'id' or 'ref'.", param="id")
    key = holder.name if holder is not None else None
    any_key = holder is None or holder.any_feedback
    feedback = Feedback(
        exchange_id=given.id or "",
        created=created,
        correct=given.correct,
        score=given.score,
        expected=_expected(given.expected),
        comment=given.comment,
        key=key,
        labeller=given.labeller,
    )
    if feedback.correct is None and feedback.score is None and feedback.expected is None:
        raise BadRequest("Give at least one of 'correct', 'score' and 'expected'.")
    return feedback, Address(id=given.id, ref=given.ref, key=key, any_key=any_key)


def _expected(given: Any) -> Any:
    """Return the expected answer; ``None`` for a missing one."""
    if given is None:
        raise BadRequest("'expected' must not be null: leave it out if it is not known.", param="expected")
    if given is msgspec.UNSET:
        return None
    if exceeded := excess(given):
        raise BadRequest(f"'expected' is out of bounds: {exceeded}.", param="expected")
    return given


@post("/v1/feedback", status_code=200, request_max_body_size=_MAX_BODY)
async def give_feedback(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[dict[str, Any]]:
    """Store feedback. Answers 404 for an unknown exchange, and for one of another key."""
    body = await request.body()
    ValueCount(services.settings.server.max_json_values).feed(body)
    feedback, address = parse(body, services.wall_clock(), holder_of(request.scope))
    id_ = await _stored(services, feedback, address)
    if id_ is None:
        param, name = ("id", address.id) if address.id is not None else ("ref", address.ref)
        raise NotFound(f"There is no exchange {shown(str(name))!r}.", param=param, code="exchange_not_found")
    return Response({"id": id_, "object": "feedback", "stored": True})


async def _stored(services: Services, feedback: Feedback, address: Address) -> str | None:
    """Store feedback; return the exchange's id. Another process may still be writing the exchange."""
    server = services.settings.server
    pauses = _PAUSES_S if server.workers > 1 or server.store is not None else ()
    for pause in pauses:
        id_ = await services.writer.feedback(feedback, address)
        if id_ is not None:
            return id_
        await asyncio.sleep(pause)
    return await services.writer.feedback(feedback, address)
