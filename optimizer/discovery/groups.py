"""Requests of one kind, found among those that belong to no task. Says nothing of money."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.domain import Exchange, Usage, Value
from optimizer.discovery.partition import partition
from optimizer.discovery.request_features import Shape, shape_of
from optimizer.discovery.words import VALUE, words

_QUESTION_LEAST = 8
"""Words of a run in which templates of questions differ: people ask in turns of phrase, programs in templates."""
_QUESTION_TEMPLATE = 4
"""Words that questions must share to come from a template at all."""
_NAME_WORDS = 3
_DULL = frozenset(
    re.findall(
        r"\w+",
        "you are is the and for with that this your from not never always must should will can only may our their them"
        " they its who what when where which how about any all use using please assistant helpful task following"
        " follows given below above user users each into does don have has been text",
    )
)

Seen = tuple[Exchange, Shape]


class Group(Value, frozen=True):
    """Requests of one kind, the newest first."""

    id: str
    """Eight hex digits, the same as long as the kind is: of its template and its tools."""
    name: str
    """A name that the task could have."""
    template: tuple[tuple[str, ...], ...]
    """The runs of words that nearly all of its instructions share; without instructions, of what users say first."""
    tools: tuple[str, ...]
    members: tuple[Seen, ...]

    @property
    def models(self) -> Mapping[str, int]:
        """Requests by the model that clients asked for, the most wanted first."""
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
        """Whether its requests have instructions."""
        return bool(self.members[0][1].system)

    @property
    def told(self) -> str:
        """The template for people, with gaps where it is filled in."""
        return f" {VALUE} ".join(" ".join(run) for run in self.template)


def groups(exchanges: Iterable[Exchange], *, taken: Iterable[str] = ()) -> list[Group]:
    """The kinds of request among exchanges, the largest first; what is no conversation is left out.

    No name is suggested that is ``taken``.
    """
    alike: dict[tuple[object, ...], dict[tuple[str, ...], list[Seen]]] = {}
    for exchange in exchanges:
        shape = shape_of(exchange)
        if shape is not None:
            # Without instructions the model says more of a request than the words of its question.
            kind = (shape.tools, True) if shape.system else (shape.tools, False, exchange.client_model)
            texts = alike.setdefault(kind, {})
            texts.setdefault(words(shape.system or shape.question), []).append((exchange, shape))
    found = [group for kind, texts in alike.items() for group in _parted(kind, texts)]
    found.sort(key=lambda group: (-len(group.members), group.id))
    return _named(_distinct(found), set(taken))


def _parted(kind: tuple[object, ...], texts: Mapping[tuple[str, ...], list[Seen]]) -> list[Group]:
    """The groups among requests with the same tools, by their texts."""
    instructed = len(kind) == 2
    keys = list(texts)
    least = {} if instructed else {"least": _QUESTION_LEAST}
    found: list[Group] = []
    rest: list[Seen] = []
    for template in partition(keys, [len(texts[key]) for key in keys], **least):
        mine = [keys[member] for member in template.members]
        if len(template.core) >= (1 if instructed else _QUESTION_TEMPLATE):
            found.append(_group(kind, _pieces(mine[0], template.core), mine, texts))
        elif instructed:
            found += [_group(kind, _pieces(key, range(len(key))), [key], texts) for key in mine]
        else:
            rest += [one for key in mine for one in texts[key]]
    if rest:
        found.append(_group(kind, (), [()], {(): rest}))
    return found


def _group(
    kind: tuple[object, ...],
    template: tuple[tuple[str, ...], ...],
    mine: Iterable[tuple[str, ...]],
    texts: Mapping[tuple[str, ...], list[Seen]],
) -> Group:
    members = sorted((one for key in mine for one in texts[key]), key=lambda one: -one[0].created)
    return Group(
        id=_digest(kind, template),
        name="",
        template=template,
        tools=members[0][1].tools,
        members=tuple(members),
    )


def _pieces(text: Sequence[str], core: Iterable[int]) -> tuple[tuple[str, ...], ...]:
    """The runs of shared words; a value ends a run."""
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


def _distinct(found: Sequence[Group]) -> list[Group]:
    """Groups with ids of their own: two may share all the words that one of them has."""
    seen: set[str] = set()
    distinct: list[Group] = []
    for group in found:
        own = group.id
        while own in seen:
            own = _digest(own)
        seen.add(own)
        distinct.append(msgspec.structs.replace(group, id=own))
    return distinct


def _named(found: Sequence[Group], taken: set[str]) -> list[Group]:
    """Each group with a name from the words that few others have, in their order."""
    known = [_plain(group) for group in found]
    common = Counter(word for said in known for word in set(said))
    named = []
    for group, said in zip(found, known, strict=True):
        telling = set(sorted(dict.fromkeys(said), key=lambda word: (common[word], said.index(word)))[:_NAME_WORDS])
        stem = "-".join(word for word in dict.fromkeys(said) if word in telling) or "requests"
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        named.append(msgspec.structs.replace(group, name=name))
    return named


def _plain(group: Group) -> list[str]:
    """The words of a group that could stand in a name."""
    text = group.told or " ".join([*group.tools, next(iter(group.models))])
    return [word for word in re.findall(r"[a-z][a-z0-9]{2,19}", text.lower()) if word not in _DULL][:200]
