"""Exchanges: the search, and one exchange in full with what the model got, our part marked."""

from collections.abc import Sequence
from urllib.parse import urlencode

from gateway.domain import Exchange, Value
from gateway.errors import BadRequest, NotFound
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation
from gateway.formats.responses import open_responses
from gateway.routing.inject import compile_rules
from gateway.store.listings import ExchangeSearch
from optimizer.console.visit import Page, Visit
from optimizer.dataset.recorded_request import RecordedTurn, read_request

ROWS = 50
_TEXT = 200


class ExchangeLine(Value, frozen=True):
    """An exchange in a list."""

    exchange: Exchange
    question: str


class SentTurn(Value, frozen=True):
    """A turn as the model got it, in parts: the caller's and ours."""

    role: str
    parts: tuple[tuple[str, bool], ...]
    """Each text, and true for ours."""


def exchanges_page(visit: Visit) -> Page:
    """List exchanges, newest first."""
    given = {name: visit.query.get(name, "").strip() for name in ("task", "key", "status", "arm", "text")}
    wanted = ExchangeSearch(
        task=given["task"] or None, key=given["key"] or None, status=given["status"] or None, arm=given["arm"] or None,
        text=given["text"][:_TEXT],
    )  # fmt: skip
    page = visit.store.search(wanted, before=visit.whole("before"), limit=ROWS)
    lines = [ExchangeLine(exchange=known, question=question_of(known)) for known in page.exchanges]
    filters = {name: value for name, value in given.items() if value}
    more = urlencode({**filters, "before": page.before}) if page.before is not None else ""
    values = {
        "lines": lines, "given": given, "more": more, "looked_at": page.looked_at, "narrowed": bool(filters),
        "tasks": list(visit.settings.tasks)[:200], "keys": sorted(visit.settings.keys)[:200],
        "later": "before" in visit.query,
    }  # fmt: skip
    return Page(template="exchanges.html", values=values)


def exchange_page(visit: Visit) -> Page:
    """Show an exchange."""
    exchange = visit.store.exchange(visit.path[0])
    if exchange is None:
        raise NotFound("There is no such exchange. It may be deleted by now.")
    request = read_request(exchange.request)
    sent, passes = _sent(visit, exchange)
    values = {
        "exchange": exchange, "turns": request.turns, "sent": sent, "passes": passes,
        "feedback": visit.store.feedback_on(exchange.id), "known": exchange.task in visit.settings.tasks,
        "question": question_of(exchange),
    }  # fmt: skip
    return Page(template="exchange.html", values=values)


def question_of(exchange: Exchange) -> str:
    """Return the last words of the user."""
    turns = read_request(exchange.request).turns
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")


def _sent(visit: Visit, exchange: Exchange) -> tuple[list[SentTurn], int]:
    """Return the turns that the weak model got, rebuilt from the version, and the most calls of its form.

    Empty for a request without rules.
    """
    if exchange.task is None or exchange.rules is None:
        return [], 0
    rule_set = visit.store.rule_set(exchange.task, exchange.rules)
    api = read_request(exchange.request).api
    try:
        request: Conversation = open_responses(exchange.request) if api == "responses" else open_chat(exchange.request)
        if rule_set is None or api not in ("chat", "responses"):
            return [], 0
        injection = compile_rules(rule_set)
        if injection.form.obstacle(request) is not None:
            return [], 0
        form = injection.form.for_request(request)
        first = form.first_pass(request, injection.guidance(request, exchange.key))
        body = request.sealed(first.changes)
    except BadRequest:
        return [], 0
    return marked(read_request(exchange.request).turns, read_request(body).turns), form.most_passes


def marked(before: Sequence[RecordedTurn], after: Sequence[RecordedTurn]) -> list[SentTurn]:
    """Return the turns of a changed request with our parts marked."""
    rest, turns = [(turn.role, turn.text) for turn in before], list[SentTurn]()
    for turn in after:
        match = next((known for known in rest if known[0] == turn.role and known[1] and known[1] in turn.text), None)
        if match is None:
            turns.append(SentTurn(role=turn.role, parts=((turn.text, True),)))
            continue
        rest.remove(match)
        head, theirs, tail = turn.text.partition(match[1])
        parts = ((head, True), (theirs, False), (tail, True))
        shown = tuple((text.strip("\n"), ours) for text, ours in parts if text.strip())
        turns.append(SentTurn(role=turn.role, parts=shown))
    return turns
