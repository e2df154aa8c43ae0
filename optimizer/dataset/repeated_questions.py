"""Questions that were asked again: the first reply probably did not help.

Compares requests only. Replies are not read as answers, and a question in other words is another question.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from gateway.domain import Exchange, Value
from optimizer.dataset.recorded_request import (
    OWN_ROLES,
    RecordedRequest,
    conversation_of,
    digest,
    folded,
    read_request,
)

_WITHIN_S = 600.0
_READING_S = 2.0
"""Seconds that a person needs at least between a reply and the next question; programs are faster."""
_MOST = 3
"""Repetitions of a question by one asker; a question repeated more often is a program's prompt, such as "Continue."."""
_SHORTEST = 16
"""Characters of a question with content; "yes, go ahead" may well be repeated."""


class _Question(Value, frozen=True):
    """The question of an exchange, in digests of folded texts."""

    exchange: Exchange
    question: str
    context: tuple[str, ...]
    """Every turn except the model's own."""
    quoted: frozenset[str]
    """Earlier replies to the same question in this conversation."""
    repeats: int
    """Times that this conversation has asked the question so far."""
    is_deterministic: bool
    """An equal request has an equal reply."""
    askers: tuple[str, ...]
    """Names under which the asker can be recognised."""

    @property
    def ended(self) -> float:
        """Seconds since the epoch at the end of the reply."""
        return self.exchange.created + self.exchange.latency_ms / 1000

    @property
    def answered(self) -> bool:
        """True if the caller received a whole reply."""
        return self.exchange.status == "ok" and self.exchange.reply is not None


def repeated_questions(exchanges: Iterable[Exchange], *, now: float, within_s: float = _WITHIN_S) -> dict[str, str]:
    """Return the ids of a task's exchanges whose question came again, each with the id of the later exchange.

    Both must come from one conversation: the later request quotes the earlier reply. Or they come from one asker (the
    client's key for a conversation, or its end user), with equal instructions and earlier turns. Left out are

    - retries of failures: an exchange without a whole reply cannot dissatisfy;
    - requests before the reply was complete, or within two seconds: hedged, parallel and queued requests;
    - equal requests of an asker at temperature 0 or with a seed: nobody expects another reply;
    - a question of an asker or conversation with more than three repetitions: a program's prompt;
    - questions of less than 16 characters, answers in the background (``shadow``), clients that opted out.

    An exchange is judged ``within_s`` seconds after its end: later traffic changes nothing. ``exchanges`` come in
    any order and should reach back twice as far. ``now`` is in seconds since the epoch.
    """
    by_conversation: dict[tuple[str, str], list[_Question]] = defaultdict(list)
    by_asker: dict[tuple[str, str], list[_Question]] = defaultdict(list)
    for exchange in sorted(exchanges, key=_created):
        question = None if exchange.arm == "shadow" else _question(exchange, read_request(exchange.request))
        if question is None:
            continue
        by_conversation[conversation_of(exchange.request), question.question].append(question)
        for asker in question.askers:
            by_asker[asker, question.question].append(question)
    pairs = [pair for group in by_conversation.values() for pair in _continued(group, within_s)]
    pairs += [pair for group in by_asker.values() for pair in _repeated(group, within_s)]
    repeated: dict[str, str] = {}
    for earlier, later in sorted(pairs, key=lambda pair: pair[1].exchange.created):
        if earlier.ended + within_s <= now:
            repeated.setdefault(earlier.exchange.id, later.exchange.id)
    return repeated


def _question(exchange: Exchange, request: RecordedRequest) -> _Question | None:
    """Return the question of an exchange; ``None`` without a question of some length."""
    if len(request.question) < _SHORTEST:
        return None
    question = _digest(request.question)
    context, quoted, repeats, answering = [], set(), 0, False
    for turn in request.turns:
        content = _digest(turn.content)
        if turn.role in OWN_ROLES:
            if answering and turn.text:
                quoted.add(content)
            continue
        context.append(content)
        if turn.role == "user":
            answering = content == question
            repeats += answering
    return _Question(
        exchange=exchange,
        question=question,
        context=tuple(context),
        quoted=frozenset(quoted),
        repeats=repeats,
        is_deterministic=request.sampling.is_deterministic,
        askers=tuple(_askers(request)),
    )


def _continued(group: Sequence[_Question], within_s: float) -> Iterator[tuple[_Question, _Question]]:
    """Yield pairs in one conversation: the later request quotes the earlier reply, so they are no two strangers."""
    if max(question.repeats for question in group) > _MOST:
        return
    replied: dict[str, _Question] = {}
    for later in group:
        for reply in later.quoted:
            earlier = replied.get(reply)
            if earlier is not None and _in_time(earlier, later, within_s):
                yield earlier, later
        if later.answered:
            replied[_digest(later.exchange.reply or "")] = later


def _repeated(group: Sequence[_Question], within_s: float) -> Iterator[tuple[_Question, _Question]]:
    """Yield pairs of one asker with the same context, or a longer one."""
    answered = [question for question in group if question.answered]
    if len(answered) > _MOST:
        return
    for earlier in answered:
        for later in group:
            if (
                _in_time(earlier, later, within_s)
                and later.context[: len(earlier.context)] == earlier.context
                and not (earlier.is_deterministic and later.exchange.request == earlier.exchange.request)
            ):
                yield earlier, later
                break


def _in_time(earlier: _Question, later: _Question, within_s: float) -> bool:
    return _READING_S <= later.exchange.created - earlier.ended <= within_s


def _askers(request: RecordedRequest) -> Iterator[str]:
    """Yield the names under which the asker can be recognised.

    ``prompt_cache_key`` is no such name: clients share a key among all users whose prompts begin alike.
    """
    if request.tenant:
        yield f"tenant {request.tenant}"
    given = request.conversation_id or request.server_conversation
    if given:
        yield "conversation " + digest("given", given)


def _digest(text: str) -> str:
    return digest("text", folded(text))


def _created(exchange: Exchange) -> float:
    return exchange.created
