"""What recorded requests say of who asked what: conversation, tenant, question; and which questions were asked again.

Who asks the same again was probably not helped by the first reply. Nothing here reads a reply's contents as an answer,
and a question in other words is another question.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.domain import Exchange, Value
from gateway.errors import BadRequest
from gateway.formats.chat import open_chat, text_of
from gateway.formats.responses import open_responses
from gateway.routing.conversation import key_of

_TEXT = ("text", "input_text", "output_text")
_OWN = ("assistant", "model")
"""Roles of what a model said."""
_WITHIN_S = 600.0
_READING_S = 2.0
"""Seconds that a person needs at least between a reply and the next question; programs are faster."""
_MOST = 3
"""How often somebody asks the same; what is asked more often is a program's prompt, such as "Continue."."""
_SHORTEST = 16
"""Characters of a question that says something; "yes, go ahead" may well be said twice."""


class RecordedTurn(Value, frozen=True):
    """One message of a conversation. What is no text (an image, a file) stands in ``text`` as a hash."""

    role: str
    text: str


class _Asked(Value, frozen=True):
    """An exchange as the repetition of a question sees it; hashes of folded texts."""

    exchange: Exchange
    question: str
    told: tuple[str, ...]
    """All that the model was told, its own words left out."""
    quoted: frozenset[str]
    """Replies that the same question had earlier in this conversation."""
    repeats: int
    """How often this conversation has asked the question by now."""
    determined: bool
    """Whether an equal request has an equal reply."""

    @property
    def ended(self) -> float:
        return self.exchange.created + self.exchange.latency_ms / 1000

    @property
    def answered(self) -> bool:
        return self.exchange.status == "ok" and self.exchange.reply is not None


def conversation_of(request: bytes) -> str:
    """16 hex digits, equal for all turns of a conversation: by the client's own key, or else by how it began.

    ``metadata.conversation_id`` or what ``gateway.routing.conversation`` pins by. Strangers who begin with the same
    words count as one conversation.
    """
    given = _named(body_of(request), "conversation_id")
    return _hash("id", given) if given else _hash("key", _key(request))


def tenant_of(request: bytes) -> str | None:
    """16 hex digits for the end user on whose behalf a client asks, ``None`` if it does not say."""
    return _tenant(body_of(request))


def question_of(request: bytes) -> str:
    """16 hex digits for the question that a request ends with, white space and case folded.

    Empty if the last turn is not a user's: an agent that hands in a tool's result asks nothing.
    """
    question = _question(turns_of(body_of(request)))
    return _hash("question", question) if question else ""


def repeated_questions(exchanges: Iterable[Exchange], *, now: float, within_s: float = _WITHIN_S) -> dict[str, str]:
    """Which exchanges of a task were followed by the same question, each with the id of the exchange that asked again.

    Both must come from the same conversation (the later one quotes the earlier reply) or from the same asker (the
    client's key for a conversation, or its end user) with the same instructions and earlier turns. Left out are

    - retries of what failed: an exchange that did not end ``ok`` gave no reply to be dissatisfied with;
    - what began before the reply was complete, or within two seconds: hedged, parallel and queued requests;
    - equal requests of one asker at temperature 0 or with a seed: nobody expects another reply;
    - what one asker or one conversation asked more than three times in all: a program's prompt;
    - questions of less than 16 characters, answers in the background (``shadow``), clients that opted out.

    An exchange is judged once ``within_s`` seconds have passed since its end, so that later traffic changes nothing;
    ``exchanges`` should reach back twice as far, in any order. ``now`` is in seconds since the epoch.
    """
    talks: dict[tuple[str, str], list[_Asked]] = defaultdict(list)
    askers: dict[tuple[str, str], list[_Asked]] = defaultdict(list)
    for exchange in sorted(exchanges, key=_created):
        body = body_of(exchange.request)
        one = None if exchange.arm == "shadow" else _asked(exchange, body)
        if one is None:
            continue
        talks[conversation_of(exchange.request), one.question].append(one)
        for asker in _askers(body):
            askers[asker, one.question].append(one)
    pairs = [pair for group in talks.values() for pair in _continued(group, within_s)]
    pairs += [pair for group in askers.values() for pair in _repeated(group, within_s)]
    found: dict[str, str] = {}
    for earlier, later in sorted(pairs, key=lambda pair: pair[1].exchange.created):
        if earlier.ended + within_s <= now:
            found.setdefault(earlier.exchange.id, later.exchange.id)
    return found


def body_of(request: bytes) -> dict[str, Any]:
    """A recorded request as an object; an empty one for what cannot be read."""
    try:
        return msgspec.json.decode(request, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def turns_of(body: dict[str, Any]) -> list[RecordedTurn]:
    """What was said in a request of any API, instructions first; what has no role is left out."""
    turns = []
    instructions = _said(body.get("instructions"))
    if instructions:
        turns.append(RecordedTurn(role="system", text=instructions))
    for name in ("messages", "input", "prompt"):
        given = body.get(name)
        if isinstance(given, str):
            turns.append(RecordedTurn(role="user", text=given))
        elif isinstance(given, list):
            turns += _messages(given)
    return turns


def folded(text: str) -> str:
    """A text without what a person does not notice: case, and how white space is made up."""
    return " ".join(text.split()).casefold()


def _messages(given: Sequence[Any]) -> Iterator[RecordedTurn]:
    for message in given:
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        if isinstance(role, str):
            yield RecordedTurn(role=role, text=_said(message.get("content")))
        elif message.get("type") == "function_call_output":
            yield RecordedTurn(role="tool", text=_said(message.get("output")))


def _said(content: Any) -> str:
    text = text_of(content, _TEXT) or ""
    if isinstance(content, list):
        others = [part for part in content if not (isinstance(part, dict) and isinstance(part.get("text"), str))]
        if others:
            return f"{text}\n{hashlib.sha256(msgspec.json.encode(others)).hexdigest()}"
    return text


def _question(turns: Sequence[RecordedTurn]) -> str:
    return folded(turns[-1].text) if turns and turns[-1].role == "user" else ""


def _asked(exchange: Exchange, body: dict[str, Any]) -> _Asked | None:
    """``None`` if no question was asked."""
    turns = turns_of(body)
    question = _question(turns)
    if len(question) < _SHORTEST:
        return None
    question = _said_hash(question)
    told, quoted, repeats, answering = [], set(), 0, False
    for turn in turns:
        said = _said_hash(turn.text)
        if turn.role in _OWN:
            if answering and turn.text:
                quoted.add(said)
            continue
        told.append(said)
        if turn.role == "user":
            answering = said == question
            repeats += answering
    return _Asked(
        exchange=exchange,
        question=question,
        told=tuple(told),
        quoted=frozenset(quoted),
        repeats=repeats,
        determined=body.get("temperature") == 0 or body.get("seed") is not None,
    )


def _continued(group: Sequence[_Asked], within_s: float) -> Iterator[tuple[_Asked, _Asked]]:
    """Pairs in one conversation: the later request holds the earlier reply, so they cannot be two strangers."""
    if max(one.repeats for one in group) > _MOST:
        return
    replied: dict[str, _Asked] = {}
    for later in group:
        for reply in later.quoted:
            earlier = replied.get(reply)
            if earlier is not None and _in_time(earlier, later, within_s):
                yield earlier, later
        if later.answered:
            replied[_said_hash(later.exchange.reply or "")] = later


def _repeated(group: Sequence[_Asked], within_s: float) -> Iterator[tuple[_Asked, _Asked]]:
    """Pairs of one asker who told the model the same, and maybe more."""
    answered = [one for one in group if one.answered]
    if len(answered) > _MOST:
        return
    for earlier in answered:
        for later in group:
            if (
                _in_time(earlier, later, within_s)
                and later.told[: len(earlier.told)] == earlier.told
                and not (earlier.determined and later.exchange.request == earlier.exchange.request)
            ):
                yield earlier, later
                break


def _in_time(earlier: _Asked, later: _Asked, within_s: float) -> bool:
    return _READING_S <= later.exchange.created - earlier.ended <= within_s


def _askers(body: dict[str, Any]) -> Iterator[str]:
    """Under which names the same asker can be known again."""
    tenant = _tenant(body)
    if tenant:
        yield f"tenant {tenant}"
    # Not by prompt_cache_key: clients share one among all users whose prompts begin alike.
    given = _named(body, "conversation_id") or body.get("conversation")
    if given:
        yield "conversation " + _hash("given", msgspec.json.encode(given))


def _tenant(body: dict[str, Any]) -> str | None:
    named = [body.get("safety_identifier"), body.get("user"), _named(body, "user_id")]
    first = next((name for name in named if isinstance(name, str) and name), None)
    return _hash("tenant", first) if first else None


def _named(body: dict[str, Any], name: str) -> str | None:
    metadata = body.get("metadata")
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) and value else None


def _key(request: bytes) -> bytes:
    """The key by which the gateway pins; all of a request that is no conversation."""
    for opened in (open_chat, open_responses):
        try:
            return key_of(opened(request))
        except BadRequest:
            continue
    return request


def _said_hash(text: str) -> str:
    return _hash("said", folded(text))


def _hash(kind: str, value: str | bytes) -> str:
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return hashlib.sha256(kind.encode() + b"\n" + data).hexdigest()[:16]


def _created(exchange: Exchange) -> float:
    return exchange.created
