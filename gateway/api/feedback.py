"""``POST /v1/feedback``: a client's judgement of a reply, by the reply's ``id``. Acknowledged once it is stored."""

import asyncio
import re
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency

from gateway.api.gate import holder_of
from gateway.domain import Feedback
from gateway.errors import BadRequest, NotFound
from gateway.formats.json_values import ValueCount
from gateway.services import Services

_MAX_BODY = 10**6
_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts, while another worker may have the exchange in its queue."""


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body: ``id`` and at least one of ``correct``, ``score`` (0..1) and ``expected``."""

    id: str
    correct: bool | None = None
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    expected: Any = msgspec.UNSET
    comment: str | None = None


_PLACE = re.compile(r"(?: - at `\$\.|field `)([^`]*)`$")
"""The wrong, missing or unknown key in msgspec's message."""

_body = msgspec.json.Decoder(FeedbackBody)


def parse(body: bytes, created: float, key: str | None = None) -> Feedback:
    """Decode feedback sent with the key named ``key``. Raises ``BadRequest`` with the wrong field."""
    try:
        given = _body.decode(body)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        message = str(error).partition(" - at `$")[0]
        raise BadRequest(message, param=place[1] if place else None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from None
    if given.expected is None:
        raise BadRequest("'expected' must not be null: leave it out if it is not known.", param="expected")
    expected = None if given.expected is msgspec.UNSET else given.expected
    if given.correct is None and given.score is None and expected is None:
        raise BadRequest("Give at least one of 'correct', 'score' and 'expected'.")
    return Feedback(
        exchange_id=given.id,
        created=created,
        correct=given.correct,
        score=given.score,
        expected=expected,
        comment=given.comment,
        key=key,
    )


@post("/v1/feedback", status_code=200, request_max_body_size=_MAX_BODY)
async def give_feedback(
    request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[dict[str, Any]]:
    """Store feedback. Answers 404 for an unknown id."""
    holder = holder_of(request.scope)
    body = await request.body()
    ValueCount(services.settings.server.max_json_values).feed(body)
    feedback = parse(body, services.wall_clock(), holder.name if holder is not None else None)
    if not await _stored(services, feedback):
        raise NotFound(f"There is no exchange {feedback.exchange_id!r}.", param="id", code="exchange_not_found")
    return Response({"id": feedback.exchange_id, "object": "feedback", "stored": True})


async def _stored(services: Services, feedback: Feedback) -> bool:
    """Store feedback; return whether the exchange is known. Another worker may still be writing the exchange."""
    pauses = _PAUSES_S if services.settings.server.workers > 1 else ()
    for pause in pauses:
        if await services.writer.feedback(feedback):
            return True
        await asyncio.sleep(pause)
    return await services.writer.feedback(feedback)
