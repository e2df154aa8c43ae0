"""Regular expressions that meet text by clients: Python's syntax, searched in time linear in the text.

Python's own engine backtracks: ``translate.*into (german|french)`` takes half a minute on a megabyte of "translate".
Here Python's parser reads the expression, and Rust's ``regex`` engine searches for it. It is reached through
``jsonschema-rs``, a dependency anyway: a string schema with a ``pattern`` is a search. 0.3 to 0.7 us a search in a
short text, as fast as ``re``, and 2 ms in that megabyte.

An expression keeps its meaning: ``\\d``, ``\\w`` and ``\\s`` are Unicode's, ``$`` also stands before a last line break.
Look-around, back-references, and possessive or atomic groups need an engine that backtracks; they are refused.
"""

import re
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # typeshed knows it under a deprecated name only
from re import _parser as parser  # type: ignore[attr-defined]  # the same
from typing import Any

_LONGEST = 10_000
"""Characters of an expression: a client may send it with feedback, and it is compiled in time linear in its length."""
_LARGEST = 10_000_000
"""Bytes of a compiled expression."""
_ANY = r"[\x{0}-\x{10FFFF}]"
_CATEGORIES = {
    # Python's category: its characters, and under the flag ASCII; negations are spelt out, for classes do not nest here
    op.CATEGORY_DIGIT: (r"\p{Nd}", "0-9"),
    op.CATEGORY_NOT_DIGIT: (r"\P{Nd}", r"\x{0}-\x{2F}\x{3A}-\x{10FFFF}"),
    op.CATEGORY_WORD: (r"\p{L}\p{N}_", "A-Za-z0-9_"),
    op.CATEGORY_NOT_WORD: (
        (
            r"\p{M}\p{S}\p{Z}\p{C}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}"
            r"\x{203F}\x{2040}\x{2054}\x{FE33}\x{FE34}\x{FE4D}-\x{FE4F}\x{FF3F}"
        ),
        r"\x{0}-\x{2F}\x{3A}-\x{40}\x{5B}-\x{5E}\x{60}\x{7B}-\x{10FFFF}",
    ),
    op.CATEGORY_SPACE: (r"\x{9}-\x{D}\x{1C}-\x{20}\x{85}\p{Z}", r"\x{9}-\x{D}\x{20}"),
    op.CATEGORY_NOT_SPACE: (
        r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\p{Cn}\x{0}-\x{8}\x{E}-\x{1B}\x{7F}-\x{84}\x{86}-\x{9F}",
        r"\x{0}-\x{8}\x{E}-\x{1F}\x{21}-\x{10FFFF}",
    ),
}
BACKTRACKING = {
    op.ASSERT: "look-around",
    op.ASSERT_NOT: "look-around",
    op.GROUPREF: "a back-reference",
    op.GROUPREF_EXISTS: "a condition on a group",
    op.ATOMIC_GROUP: "an atomic group",
    op.POSSESSIVE_REPEAT: "a possessive repetition",
}


class LinearRegex:
    """A compiled expression. Raises ``ValueError`` for an expression that is wrong or needs backtracking."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._matches = _compiled(expression)

    def search(self, text: str) -> bool:
        """Decide whether the expression matches anywhere in a text."""
        try:
            return self._matches(text)
        except UnicodeEncodeError:  # half of a surrogate pair
            return self._matches(text.encode("utf-8", "replace").decode())

    def __repr__(self) -> str:
        return f"LinearRegex({self.expression!r})"


def parse_tree(expression: str) -> Any:
    """Return Python's parse tree, without its warnings: a client's expression is nothing for our log.

    Raises ``re.error``, ``OverflowError`` and ``RecursionError``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parser.parse(expression)


@lru_cache(256)
def _compiled(expression: str) -> Callable[[str], bool]:
    if len(expression) > _LONGEST:
        raise ValueError(f"a regular expression of more than {_LONGEST} characters")
    try:
        parsed = parse_tree(expression)
        translated = _Translation(parsed.state.flags).sequence(parsed)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    import jsonschema_rs  # 25 ms and 6 MB, for those who use an expression

    options = jsonschema_rs.RegexOptions(size_limit=_LARGEST)
    try:
        validator = jsonschema_rs.Draft202012Validator({"pattern": translated}, pattern_options=options)
    except (ValueError, jsonschema_rs.ValidationError):
        raise ValueError("the regular expression is too large: repeat less of it") from None
    return validator.is_valid


class _Translation:
    """From Python's parse tree to Rust's syntax. Without groups and preferences: a search only tells yes or no."""

    def __init__(self, flags: int) -> None:
        self._flags = flags

    def sequence(self, items: Iterable[tuple[Any, Any]]) -> str:
        parts = [self._item(code, argument) for code, argument in items]
        if any(part.endswith(_END) for part in parts[:-1]):
            raise ValueError("a regular expression with something behind $: put $ at its end")
        text = "".join(parts)
        return f"(?i:{text})" if self._flags & re.IGNORECASE and text else text

    def _item(self, code: Any, argument: Any) -> str:
        if code in BACKTRACKING:
            raise ValueError(f"a regular expression with {BACKTRACKING[code]}, which takes time without a bound here")
        if code is op.LITERAL:
            return _character(argument)
        if code is op.NOT_LITERAL:
            return f"[^{_character(argument)}]"
        if code is op.ANY:
            return _ANY if self._flags & re.DOTALL else r"[^\n]"
        if code is op.IN:
            return self._class(argument)
        if code is op.AT:
            return self._position(argument)
        return self._group(code, argument)

    def _group(self, code: Any, argument: Any) -> str:
        if code is op.BRANCH:
            return f"(?:{'|'.join(self.sequence(branch) for branch in argument[1])})"
        if code is op.SUBPATTERN:
            _, added, removed, inner = argument
            text = _Translation((self._flags | added) & ~removed).sequence(inner)
            return f"(?-i:{text})" if removed & re.IGNORECASE else f"(?:{text})"
        least, most, inner = argument  # greedy or lazy: the same for a search
        bound = "" if most is op.MAXREPEAT else str(most)
        return f"(?:{self.sequence(inner)}){{{least},{bound}}}"

    def _position(self, code: Any) -> str:
        multiline = self._flags & re.MULTILINE
        if code is op.AT_BEGINNING:
            return "(?m:^)" if multiline else r"\A"
        if code is op.AT_END:
            return "(?m:$)" if multiline else _END
        return {op.AT_BEGINNING_STRING: r"\A", op.AT_END_STRING: r"\z", op.AT_BOUNDARY: r"\b"}.get(code, r"\B")

    def _class(self, items: Iterable[tuple[Any, Any]]) -> str:
        parts = []
        for code, argument in items:
            if code is op.NEGATE:
                parts.append("^")
            elif code is op.LITERAL:
                parts.append(_character(argument))
            elif code is op.RANGE:
                parts.append("-".join(map(_character, argument)))
            else:
                parts.append(_CATEGORIES[argument][bool(self._flags & re.ASCII)])
        return f"[{''.join(parts)}]"


_END = r"(?:\n?\z)"


def _character(code: int) -> str:
    if 0xD800 <= code < 0xE000:
        raise ValueError("a regular expression with half of a surrogate pair")
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else rf"\x{{{code:X}}}"
