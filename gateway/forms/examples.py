"""The part ``examples``: solved examples as turns before the caller's conversation, around any form.

``nearest``: those most like the question, the most similar last, found in memory without a model (``similarity``).
``fixed``: all of them in their order, the same bytes for every request that may see them. A text of a user is shown to
its own tenant only.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec

from gateway.formats.envelope import Conversation, Obstacle
from gateway.forms.base import Form, Pass, first_of
from gateway.forms.guidance import Guidance
from gateway.forms.similarity import SimilarityIndex
from gateway.teaching import Example, ExamplesMode

_OBSTACLES: frozenset[Obstacle] = frozenset({"tools", "forced_function"})
"""Replies that are no text: the examples would teach another form."""

Owner = tuple[str | None, str | None]
"""Key and tenant."""


class ExampleSet:
    """Examples, ready to be chosen from. ``index`` is built at its first use; that takes up to two seconds."""

    def __init__(self, examples: Sequence[Example], mode: ExamplesMode, nearest: int) -> None:
        self.count = nearest if mode == "nearest" else len(examples)
        self.by_question = mode == "nearest"
        self._turns = [(example.question, example.answer) for example in examples]
        self._shared = _bits(position for position, example in enumerate(examples) if example.shared)
        self._owned: dict[Owner, int] = {}
        for position, example in enumerate(examples):
            if not example.shared:
                owner = example.key, example.tenant
                self._owned[owner] = self._owned.get(owner, 0) | 1 << position

    @cached_property
    def index(self) -> SimilarityIndex:
        return SimilarityIndex([question for question, _ in self._turns])

    def turns(self, question: str, key: str | None, tenant: str | None) -> list[tuple[str, str]]:
        """Return the examples for a question of a tenant, the most similar last."""
        visible = self._shared | self._owned.get((key, tenant), 0)
        if not self.by_question:
            return [turn for position, turn in enumerate(self._turns) if visible >> position & 1]
        nearest = self.index.nearest(question, self.count, among=visible)
        return [self._turns[position] for position in reversed(nearest)]


class ExamplesForm:
    """Implements ``Form`` around another form."""

    def __init__(self, inner: Form, examples: ExampleSet) -> None:
        self._inner = inner
        self._examples = examples
        chosen = f"the {examples.count} nearest examples" if examples.by_question else f"{examples.count} examples"
        self.name = f"examples+{inner.name}"
        self.description = f"{chosen}; {inner.description}"
        self.most_passes = inner.most_passes
        self.works = inner.works

    def prepare(self) -> None:
        if self._examples.by_question:
            _ = self._examples.index
        self._inner.prepare()

    def obstacle(self, request: Conversation) -> Obstacle | None:
        obstacles = request.obstacles()
        if self._examples.by_question and "no_question" in obstacles:
            return "no_question"
        return first_of(obstacles, _OBSTACLES) or self._inner.obstacle(request)

    def for_request(self, request: Conversation) -> Form:
        inner = self._inner.for_request(request)
        return self if inner is self._inner else ExamplesForm(inner, self._examples)

    def first_pass(self, request: Conversation, guidance: Guidance) -> Pass:
        turns = self._examples.turns(request.question() or "", guidance.key, guidance.tenant)
        return self._inner.first_pass(request, msgspec.structs.replace(guidance, turns=turns))


def _bits(positions: Iterable[int]) -> int:
    return sum(1 << position for position in positions)
