"""The part of a text that a regular expression extracts, in time linear in the text: in Python's syntax and order.

``linear_regex`` only tells whether an expression matches; here its first match is wanted, with its group. Python's
parser reads the expression. All ways through it are followed at once, character by character, in the order in which
Python's engine would try them (Pike; Cox, "Regular Expression Matching: the Virtual Machine Approach"), so that no text
makes it backtrack. About 3 us a character: for graders, not for requests.

An expression keeps its meaning, but for a repetition of a part that may be empty, as in ``(^|a)*``: it takes what is
there. Look-around, back-references, and possessive or atomic groups are refused.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # typeshed knows it under a deprecated name only
from typing import Any, NamedTuple

from gateway.linear_regex import BACKTRACKING, parse_tree

MOST_STEPS = 5000
"""Instructions of an expression; counted repetitions are written out."""

Slots = tuple[int, int]
"""Begin and end of the wanted part; -1: not seen."""
Accepts = Callable[[str], bool]
Holds = Callable[[str, int], bool]


class MatchStep(NamedTuple):
    """An instruction; exactly one of its fields says which."""

    accepts: Accepts | None = None
    """Take a character, and go on with the next step."""
    ways: tuple[int, ...] = ()
    """Go on with each of these steps, the preferred one first."""
    slot: int = -1
    """Note the position, and go on with the next step."""
    holds: Holds | None = None
    """Go on with the next step if the position is such."""
    ends: bool = False


class LinearMatch:
    """A compiled expression. Raises ``ValueError`` for an expression that is wrong, too large or needs backtracking."""

    def __init__(self, expression: str) -> None:
        self._steps = _compiled(expression)

    def extract(self, text: str) -> str | None:
        """Return the first group of the first match, or the whole match without groups; ``None`` without a match.

        A group that took no part is an empty text.
        """
        best: Slots | None = None
        threads: list[tuple[int, Slots]] = []
        for position in range(len(text) + 1):
            ahead: list[tuple[int, Slots]] = []
            seen: set[int] = set()
            for at, slots in threads if best is not None else [*threads, (0, (-1, -1))]:
                ended = self._follow(ahead, seen, at, slots, text, position)
                if ended is not None:
                    best = ended
                    break  # what comes later is less preferred
            if not ahead and best is not None:
                break
            character = text[position : position + 1]
            threads = [
                (at + 1, slots)
                for at, slots in ahead
                if character and (accepts := self._steps[at].accepts) is not None and accepts(character)
            ]
        return None if best is None else text[best[0] : best[1]] if best[1] >= 0 else ""

    def _follow(
        self, ahead: list[tuple[int, Slots]], seen: set[int], at: int, slots: Slots, text: str, position: int
    ) -> Slots | None:
        """Append the characters that may come next, in order of preference; return the slots at an end."""
        waiting = [(at, slots)]
        while waiting:
            at, slots = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            step = self._steps[at]
            if step.ends:
                return slots
            if step.accepts is not None:
                ahead.append((at, slots))
            elif step.ways:
                waiting += [(way, slots) for way in reversed(step.ways)]
            elif step.slot >= 0:
                waiting.append((at + 1, (position, -1) if step.slot == 0 else (slots[0], position)))
            elif step.holds is None or step.holds(text, position):
                waiting.append((at + 1, slots))
        return None


@lru_cache(64)
def _compiled(expression: str) -> tuple[MatchStep, ...]:
    try:
        parsed = parse_tree(expression)
        program = _Program(wanted=1 if parsed.state.groups > 1 else 0)
        program.whole(parsed, parsed.state.flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return tuple(program.steps)


class _Program:
    """From Python's parse tree to steps; ``wanted`` is the group to extract, 0 for the whole match."""

    def __init__(self, wanted: int) -> None:
        self.steps: list[MatchStep] = []
        self._wanted = wanted

    def whole(self, items: Iterable[tuple[Any, Any]], flags: int) -> None:
        self._group(0, items, flags)
        self._add(MatchStep(ends=True))

    def _add(self, step: MatchStep) -> int:
        if len(self.steps) == MOST_STEPS:
            raise ValueError("the regular expression is too large: repeat less of it")
        self.steps.append(step)
        return len(self.steps) - 1

    def _sequence(self, items: Iterable[tuple[Any, Any]], flags: int) -> None:
        for code, argument in items:
            self._item(code, argument, flags)

    def _group(self, number: int | None, items: Iterable[tuple[Any, Any]], flags: int) -> None:
        slots = number == self._wanted
        if slots:
            self._add(MatchStep(slot=0))
        self._sequence(items, flags)
        if slots:
            self._add(MatchStep(slot=1))

    def _item(self, code: Any, argument: Any, flags: int) -> None:
        if code in BACKTRACKING:
            raise ValueError(f"a regular expression with {BACKTRACKING[code]}, which takes time without a bound here")
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            least, most, inner = argument
            self._repeat(least, most, inner, flags, greedy=code is op.MAX_REPEAT)
        elif code is op.BRANCH:
            self._branch(argument[1], flags)
        elif code is op.SUBPATTERN:
            number, added, removed, inner = argument
            self._group(number, inner, (flags | added) & ~removed)
        elif code is op.AT:
            self._add(MatchStep(holds=_position(argument, flags)))
        else:
            self._add(MatchStep(accepts=_character(code, argument, flags)))

    def _branch(self, branches: Iterable[Iterable[tuple[Any, Any]]], flags: int) -> None:
        fork, begins, jumps = self._add(MatchStep()), [], []
        for branch in branches:
            begins.append(len(self.steps))
            self._sequence(branch, flags)
            jumps.append(self._add(MatchStep()))
        self.steps[fork] = MatchStep(ways=tuple(begins))
        for jump in jumps:
            self.steps[jump] = MatchStep(ways=(len(self.steps),))

    def _repeat(self, least: int, most: Any, inner: Any, flags: int, *, greedy: bool) -> None:
        for _ in range(least):
            self._sequence(inner, flags)
        if most is op.MAXREPEAT:
            fork = self._add(MatchStep())
            self._sequence(inner, flags)
            self._add(MatchStep(ways=(fork,)))
            self._fork(fork, greedy=greedy)
            return
        forks = []
        for _ in range(most - least):
            forks.append(self._add(MatchStep()))
            self._sequence(inner, flags)
        for fork in forks:
            self._fork(fork, greedy=greedy)

    def _fork(self, at: int, *, greedy: bool) -> None:
        """Enter or leave a repetition."""
        ways = (at + 1, len(self.steps))
        self.steps[at] = MatchStep(ways=ways if greedy else ways[::-1])


def _character(code: Any, argument: Any, flags: int) -> Accepts:
    """Return a test of a single character, by Python's own engine, each character once."""
    if code is op.ANY:
        return (lambda character: True) if flags & re.DOTALL else (lambda character: character != "\n")
    if code is op.IN:
        source = f"[{''.join(_class_part(*part) for part in argument)}]"
    else:
        source = re.escape(chr(argument)) if code is op.LITERAL else f"[^{_escaped(argument)}]"
    engine = re.compile(source, flags & (re.IGNORECASE | re.ASCII))
    known: dict[str, bool] = {}

    def accepts(character: str) -> bool:
        answer = known.get(character)
        if answer is None:
            answer = known[character] = engine.fullmatch(character) is not None
        return answer

    return accepts


def _class_part(code: Any, argument: Any) -> str:
    if code is op.NEGATE:
        return "^"
    if code is op.LITERAL:
        return _escaped(argument)
    if code is op.RANGE:
        return "-".join(map(_escaped, argument))
    return str(_CATEGORIES[argument])


_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
    op.CATEGORY_SPACE: r"\s", op.CATEGORY_NOT_SPACE: r"\S",
}  # fmt: skip


def _escaped(code: int) -> str:
    return rf"\U{code:08x}"


def _position(code: Any, flags: int) -> Holds:
    """Return a test of a position."""
    if code is op.AT_BEGINNING and flags & re.MULTILINE:
        return lambda text, at: at == 0 or text[at - 1] == "\n"
    if code in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
        return lambda text, at: at == 0
    if code is op.AT_END and flags & re.MULTILINE:
        return lambda text, at: at == len(text) or text[at] == "\n"
    if code is op.AT_END:
        return lambda text, at: at == len(text) or (at == len(text) - 1 and text[at] == "\n")
    if code is op.AT_END_STRING:
        return lambda text, at: at == len(text)
    word = re.compile(r"\w", flags & re.ASCII)

    def is_boundary(text: str, at: int) -> bool:
        before, after = text[max(0, at - 1) : at], text[at : at + 1]
        return (word.match(before) is None) != (word.match(after) is None)

    return is_boundary if code is op.AT_BOUNDARY else lambda text, at: not is_boundary(text, at)
