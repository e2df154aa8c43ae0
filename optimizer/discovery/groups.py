"""Group the requests without a task by kind. Knows nothing of money."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.domain import Exchange, Usage, Value
from optimizer.discovery.partition import partition
from optimizer.discovery.request_features import RequestFeatures, features_of
from optimizer.discovery.tool_lists import divide, fixed_and_varying
from optimizer.discovery.unspaced import joined, size
from optimizer.discovery.words import VALUE, words

_QUESTION_LEAST = 8
"""Words of the run in which templates of questions differ: people ask in turns of phrase, programs in templates."""
_QUESTION_TEMPLATE = 4
"""Words that questions from one template share at least."""
_NAME_WORDS = 3
_DULL = frozenset(
    re.findall(
        r"\w+",
        "you are is the and for with that this your from not never always must should will can only may our their them"
        " they its who what when where which how about any all use using please assistant helpful task following"
        " follows given below above user users each into does don have has been text",
    )
)

Member = tuple[Exchange, RequestFeatures]
Texts = dict[tuple[str, ...], list[Member]]
"""Requests by the words of their instructions, or of their question."""
Kind = tuple[bool] | tuple[bool, str]
"""Whether there are instructions; without any, the client's model."""


class Group(Value, frozen=True):
    """Requests of one kind, the newest first."""

    id: str
    """Eight hex digits from the template and the tools: unchanged while the kind is."""
    name: str
    """A proposed name for the task."""
    template: tuple[tuple[str, ...], ...]
    """Runs of words that nearly all instructions share; without instructions, nearly all first messages of users."""
    tools: tuple[str, ...]
    """Tools that nearly all of its requests offer."""
    members: tuple[Member, ...]
    varying_tools: tuple[str, ...] = ()
    """Tools that some of its requests offer, the most frequent first."""

    @property
    def models(self) -> Mapping[str, int]:
        """Number of requests by the client's model name, the most frequent first."""
        return dict(Counter(exchange.client_model for exchange, _ in self.members).most_common())

    @property
    def usage(self) -> Usage:
        return sum((exchange.usage for exchange, _ in self.members), Usage())

    @property
    def first_seen(self) -> float:
        return min(exchange.created for exchange, _ in self.members)

    @property
    def last_seen(self) -> float:
        return max(exchange.created for exchange, _ in self.members)

    @property
    def instructed(self) -> bool:
        """True if the requests have instructions."""
        return bool(self.members[0][1].system)

    @property
    def template_text(self) -> str:
        """The template for people, with a placeholder for each filling."""
        return f" {VALUE} ".join(joined(run) for run in self.template)


def groups(exchanges: Iterable[Exchange], *, taken: Iterable[str] = ()) -> list[Group]:
    """Return the kinds of request among exchanges, the largest first. Only conversations count.

    Proposed names are distinct and not among ``taken``.
    """
    alike: dict[Kind, Texts] = {}
    for exchange in exchanges:
        features = features_of(exchange)
        if features is not None:
            # Without instructions the model says more of a request than the words of its question.
            kind: Kind = (True,) if features.system else (False, exchange.client_model)
            texts = alike.setdefault(kind, {})
            texts.setdefault(words(features.system or features.question), []).append((exchange, features))
    kinds = [group for kind, texts in alike.items() for group in _by_template(kind, texts)]
    kinds.sort(key=lambda group: (-len(group.members), group.id))
    return _named(_distinct(kinds), set(taken))


def _by_template(kind: Kind, texts: Texts) -> list[Group]:
    """Return the groups among requests by their texts, and those with one template by their tools."""
    instructed = kind[0]
    keys = list(texts)
    least = {} if instructed else {"least": _QUESTION_LEAST}
    parts: list[Group] = []
    rest: list[Member] = []
    for template in partition(keys, [len(texts[key]) for key in keys], size=size, **least):
        mine = [keys[member] for member in template.members]
        if len(template.core) >= (1 if instructed else _QUESTION_TEMPLATE):
            members = [member for key in mine for member in texts[key]]
            parts += _by_tools(kind, _pieces(mine[0], template.core), members)
        elif instructed:
            parts += [group for key in mine for group in _by_tools(kind, _pieces(key, range(len(key))), texts[key])]
        else:
            rest += [member for key in mine for member in texts[key]]
    return parts + _by_tools(kind, (), rest)


def _by_tools(kind: Kind, template: tuple[tuple[str, ...], ...], members: Sequence[Member]) -> list[Group]:
    """Return the groups among requests with one template, by their tool lists."""
    counts = Counter(features.tools for _, features in members)
    return [
        _group(kind, template, [member for member in members if member[1].tools in lists]) for lists in divide(counts)
    ]


def _group(kind: Kind, template: tuple[tuple[str, ...], ...], members: Sequence[Member]) -> Group:
    fixed, varying = fixed_and_varying(features.tools for _, features in members)
    return Group(
        id=_digest((("varying",) if varying else fixed, *kind), template),
        name="",
        template=template,
        tools=fixed,
        members=tuple(sorted(members, key=lambda member: -member[0].created)),
        varying_tools=varying,
    )


def _pieces(text: Sequence[str], core: Iterable[int]) -> tuple[tuple[str, ...], ...]:
    """Return the runs of shared words; a value ends a run."""
    pieces: list[list[str]] = []
    last = -2
    for place in core:
        if text[place] != VALUE:
            if place != last + 1:
                pieces.append([])
            pieces[-1].append(text[place])
            last = place
    return tuple(map(tuple, pieces))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:8]


def _distinct(kinds: Sequence[Group]) -> list[Group]:
    """Give each group an id of its own: two templates may have the same core."""
    seen: set[str] = set()
    distinct: list[Group] = []
    for group in kinds:
        own = group.id
        while own in seen:
            own = _digest(own)
        seen.add(own)
        distinct.append(msgspec.structs.replace(group, id=own))
    return distinct


def _named(kinds: Sequence[Group], taken: set[str]) -> list[Group]:
    """Name each group by its rarest words, in their order."""
    vocabulary = [_plain_words(group) for group in kinds]
    common = Counter(word for own in vocabulary for word in set(own))
    named = []
    for group, own in zip(kinds, vocabulary, strict=True):
        rarest = set(sorted(dict.fromkeys(own), key=lambda word: (common[word], own.index(word)))[:_NAME_WORDS])
        stem = "-".join(word for word in dict.fromkeys(own) if word in rarest) or "requests"
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        named.append(msgspec.structs.replace(group, name=name))
    return named


def _plain_words(group: Group) -> list[str]:
    """Return a group's words without numbers, symbols and everyday words."""
    text = group.template_text or " ".join([*group.tools, *group.varying_tools, next(iter(group.models))])
    return [word for word in re.findall(r"[a-z][a-z0-9]{2,19}", text.lower()) if word not in _DULL][:200]
