"""The task of a request: named by the client, or recognised from the configuration. Does not learn."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter

from gateway.domain import Value
from gateway.errors import BadRequest, ModelNotFound
from gateway.formats.envelope import Changes, Conversation, Envelope, raw
from gateway.linear_regex import LinearRegex
from gateway.routing.substring_index import PIECE, SubstringIndex, literal_text
from gateway.settings import Match, Task

TASK_HEADER = "x-preceptor-task"
TASK_PREFIX = "task:"

Headers = Callable[[str], str | None]
"""Looks up a request header by its lower-case name."""


_MANY = 100
"""Number of tasks from which an index is faster than a test of each task."""
_CACHED_RESULTS = 1024
"""Cached results: most requests repeat the instructions of earlier ones."""
_LONGEST_CACHED = 4096
"""Characters of instructions and headers of a cached result at most."""
_MOST_HEADERS = 8
"""Headers in the key of a cached result at most."""


class _Matcher(Value, frozen=True):
    position: int
    task: str
    headers: Sequence[tuple[str, str]]
    system_prompt: LinearRegex | None

    def fits(self, header: Headers, text: str) -> bool:
        return all(header(name) == value for name, value in self.headers) and (
            self.system_prompt is None or self.system_prompt.search(text)
        )


class _MatcherGroup:
    """Tasks in the order of the configuration; the first match counts. An index narrows a large group down."""

    def __init__(self, matchers: Sequence[_Matcher]) -> None:
        self._each: list[_Matcher] = []
        self._filed: list[_Matcher] = []
        self._by_header: dict[str, dict[str, list[_Matcher]]] = {}
        phrases: list[str] = []
        for matcher in matchers:
            prompt = matcher.system_prompt
            phrase = literal_text(prompt.expression) if prompt is not None and len(matchers) >= _MANY else None
            if phrase is not None and len(phrase) >= PIECE:
                self._filed.append(matcher)
                phrases.append(phrase)
            elif matcher.headers and len(matchers) >= _MANY:
                name, value = matcher.headers[0]
                self._by_header.setdefault(name, {}).setdefault(value, []).append(matcher)
            else:
                self._each.append(matcher)
        self._phrases = SubstringIndex(phrases) if phrases else None
        self.prompts = any(matcher.system_prompt is not None for matcher in matchers)
        self.headers = sorted({name for matcher in matchers for name, _ in matcher.headers})

    def first(self, text: str, header: Headers) -> _Matcher | None:
        """Return the first matching task, in the order of the configuration."""
        for matcher in self._candidates(header, text):
            if matcher.fits(header, text):
                return matcher
        return None

    def _candidates(self, header: Headers, text: str) -> list[_Matcher]:
        """Return every matching task and a few others, in the order of the configuration."""
        indexed: list[_Matcher] = []
        for name, by_value in self._by_header.items():
            indexed += by_value.get(header(name) or "", ())
        if self._phrases is not None:
            indexed += (self._filed[position] for position in self._phrases.possible(text))
        return sorted([*self._each, *indexed], key=_position) if indexed else self._each


_position = attrgetter("position")


def _first_match(group: _MatcherGroup, text: str, *values: str | None) -> _Matcher | None:
    """Return a group's first match for instructions and the values of the group's ``headers``."""
    return group.first(text, dict(zip(group.headers, values, strict=True)).get)


class Classifier:
    """Recognises tasks; built once per configuration. Tasks are tried in the order of the configuration."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._names = frozenset(tasks)
        by_model: dict[str | None, list[_Matcher]] = {}
        for position, (name, task) in enumerate(tasks.items()):
            if task.match != Match():
                by_model.setdefault(task.match.model, []).append(_matcher(position, name, task.match))
        groups = {model: _MatcherGroup(matchers) for model, matchers in by_model.items()}
        self._any_model = groups.pop(None, None)
        self._by_model = groups
        self._cached = lru_cache(_CACHED_RESULTS)(_first_match)

    def task_of(self, envelope: Conversation, header: Headers) -> str | None:
        """Return the task of a request, or ``None``.

        An unknown name raises ``ModelNotFound`` in ``"model": "task:NAME"`` and ``BadRequest`` in a task header; in
        ``metadata`` it is the client's own business.
        """
        if envelope.model.startswith(TASK_PREFIX):
            name = envelope.model.removeprefix(TASK_PREFIX)
            if name not in self._names:
                raise ModelNotFound(envelope.model)
            return name
        named = header(TASK_HEADER)
        if named is not None:
            if named not in self._names:
                raise BadRequest(f"The header {TASK_HEADER} names no configured task.", code="task_not_found")
            return named
        return self._from_metadata(envelope) or self._recognised(envelope, header)

    def _from_metadata(self, envelope: Conversation) -> str | None:
        metadata = envelope.value("metadata")
        name = metadata.get("task") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) and name in self._names else None

    def _recognised(self, envelope: Conversation, header: Headers) -> str | None:
        named, others = self._by_model.get(envelope.model), self._any_model
        matched = self._first(named, envelope, header) if named is not None else None
        other = self._first(others, envelope, header) if others is not None else None
        if matched is None or (other is not None and other.position < matched.position):
            matched = other
        return matched.task if matched is not None else None

    def _first(self, group: _MatcherGroup, envelope: Conversation, header: Headers) -> _Matcher | None:
        text = (envelope.system_text() or "") if group.prompts else ""
        if len(group.headers) > _MOST_HEADERS:
            return group.first(text, header)
        values = [header(name) for name in group.headers]
        if len(text) + sum(len(value) for value in values if value is not None) > _LONGEST_CACHED:
            return group.first(text, header)
        return self._cached(group, text, *values)


def without_task_name(envelope: Envelope, task: str | None) -> Changes:
    """Take the task's name out of ``metadata``: it is for the gateway, and some upstreams refuse the field."""
    metadata = envelope.value("metadata")
    if task is None or not isinstance(metadata, dict) or metadata.get("task") != task:
        return {}
    rest = {name: value for name, value in metadata.items() if name != "task"}
    return {"metadata": raw(rest) if rest else None}


def _matcher(position: int, task: str, match: Match) -> _Matcher:
    return _Matcher(
        position=position,
        task=task,
        headers=tuple((header.lower(), value) for header, value in match.header.items()),
        system_prompt=LinearRegex(match.system_prompt) if match.system_prompt is not None else None,
    )
