"""Which task a request belongs to: named by the client, or recognised from the configuration. Does not learn."""

import re
from collections.abc import Callable, Mapping, Sequence

from gateway.domain import Value
from gateway.errors import BadRequest, ModelNotFound
from gateway.pipeline.envelope import Conversation
from gateway.settings import Match, Task

TASK_HEADER = "x-preceptor-task"
TASK_PREFIX = "task:"

Headers = Callable[[str], str | None]
"""Looks up a request header by its lower-case name."""


class _Matcher(Value, frozen=True):
    task: str
    headers: Sequence[tuple[str, str]]
    system_prompt: re.Pattern[str] | None


class Classifier:
    """Recognises tasks; built once per configuration. Tasks are tried in the order of the configuration."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._names = frozenset(tasks)
        self._by_model: dict[str, list[_Matcher]] = {}
        self._any_model: list[_Matcher] = []
        self._order = {name: position for position, name in enumerate(tasks)}
        for name, task in tasks.items():
            if task.match != Match():
                self._add(name, task.match)

    def _add(self, name: str, match: Match) -> None:
        matcher = _Matcher(
            task=name,
            headers=tuple((header.lower(), value) for header, value in match.header.items()),
            system_prompt=re.compile(match.system_prompt) if match.system_prompt is not None else None,
        )
        bucket = self._any_model if match.model is None else self._by_model.setdefault(match.model, [])
        bucket.append(matcher)

    def task_of(self, envelope: Conversation, header: Headers) -> str | None:
        """The task of a request, or ``None``.

        Raises ``ModelNotFound`` for ``"model": "task:NAME"`` and ``BadRequest`` for a task header that name no task;
        an unknown name in ``metadata`` is the client's own business.
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
        candidates = self._by_model.get(envelope.model, [])
        if self._any_model:
            candidates = sorted([*candidates, *self._any_model], key=lambda matcher: self._order[matcher.task])
        for matcher in candidates:
            if all(header(name) == value for name, value in matcher.headers) and (
                matcher.system_prompt is None or matcher.system_prompt.search(envelope.system_text() or "") is not None
            ):
                return matcher.task
        return None
