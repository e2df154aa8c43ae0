"""Conditions in CEL, the Common Expression Language, as far as rules and decision lists need it.

Every expression that is accepted here means the same in CEL. The rest of the language is refused with its place:
macros over lists, regular expressions, bytes and durations, so that no condition can loop or backtrack. A condition is
parsed once; a test takes microseconds and time linear in its length and in the length of the texts.

Neither package for CEL is used here: ``cel-python`` takes about a millisecond for a test, and
``common-expression-language`` takes 0.9 s and 20 MB to load and ends the process on a sum of 20,000 terms. On 20,000
random expressions this module agrees with the latter (``python -m tests.bench.conditions``).
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.errors import BadRequest
from gateway.forms.cel_nodes import Facts, Node, binary, call, choice, constant, fact, listed, unary
from gateway.forms.cel_values import FUNCTIONS, METHODS, CelError, element, field

MAX_LENGTH = 2000
"""Characters of a condition."""
MAX_DEPTH = 24
"""Parentheses, brackets and arguments inside each other."""
MAX_NODES = 400
"""Operators, names and literals of a condition."""

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<double>(?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<int>0x[0-9a-fA-F]+|[0-9]+)
    | (?P<text>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_LEVELS: Mapping[str, int] = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3, "+": 4, "-": 4,
    "*": 5, "/": 5, "%": 5,
}  # fmt: skip
"""How strongly an operator binds."""
_LITERALS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_RESERVED = frozenset(
    ("as", "break", "const", "continue", "else", "for", "function", "if", "import", "in", "let", "loop", "package",
     "namespace", "return", "var", "void", "while")
)  # fmt: skip
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?"}


class BadCondition(BadRequest):
    """A condition that cannot be read."""


class Condition:
    """A parsed condition."""

    def __init__(self, source: str, run: Node, names: frozenset[str]) -> None:
        self.source = source
        self.names = names
        """Names of the facts that it reads."""
        self._run = run

    def holds(self, facts: Facts) -> bool:
        """Decide whether the condition is true. A condition without a value, such as over a missing fact, is not."""
        try:
            return self._run(facts) is True
        except CelError:
            return False


ALWAYS = Condition("", lambda facts: True, frozenset())
"""The empty condition."""


def parse_condition(source: str) -> Condition:
    """Parse a condition; an empty text is always true. Raises ``BadCondition`` with the place of the mistake."""
    if not source.strip():
        return ALWAYS
    if len(source) > MAX_LENGTH:
        raise BadCondition(f"a condition has at most {MAX_LENGTH} characters, this has {len(source)}")
    parser = _Parser(source)
    return Condition(source, parser.whole(), frozenset(parser.names))


class _Parser:
    """Turns a source into nested functions, with operators by their levels."""

    def __init__(self, source: str) -> None:
        self.names: set[str] = set()
        self._source = source
        self._at = 0
        self._depth = self._nodes = 0
        self._kind, self._token = "", ""
        self._advance()

    def whole(self) -> Node:
        node = self._expression()
        if self._kind != "end":
            raise self._mistake("an operator expected")
        return node

    def _advance(self) -> None:
        self._start = self._at
        match = _TOKEN.match(self._source, self._at)
        if match is None or match.lastgroup is None:
            raise self._mistake("no part of a condition")
        self._kind, self._token, self._at = match.lastgroup, match[match.lastgroup], match.end()
        self._start = match.start(match.lastgroup)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._mistake(f"more than {MAX_NODES} parts")

    def _mistake(self, complaint: str) -> BadCondition:
        here = self._source[self._start : self._start + 20] or "the end"
        return BadCondition(f"condition {self._source[:60]!r}: {complaint} at {here!r}")

    def _take(self, sign: str) -> bool:
        if self._kind != "sign" or self._token != sign:
            return False
        self._advance()
        return True

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise self._mistake(f"{sign!r} expected")

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._mistake(f"more than {MAX_DEPTH} levels inside each other")
        node = self._binary(1)
        if self._take("?"):
            yes = self._binary(1)
            self._need(":")
            node = choice(node, yes, self._expression())
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        node = self._unary()
        while (binding := _LEVELS.get(self._token, 0) if self._kind in ("sign", "name") else 0) >= level:
            sign = self._token
            self._advance()
            node = binary(sign, node, self._binary(binding + 1))
        return node

    def _unary(self) -> Node:
        signs = []
        while self._kind == "sign" and self._token in ("!", "-"):
            signs.append(self._token)
            self._advance()
        if len(set(signs)) > 1:
            raise self._mistake("'!' and '-' do not mix")
        node = self._member()
        return unary(signs[0], node, twice=len(signs) % 2 == 0) if signs else node

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if self._take("."):
                name = self._name()
                node = self._method(node, name) if self._take("(") else call(field, (node, constant(name)))
            elif self._take("["):
                node = call(element, (node, self._expression()))
                self._need("]")
            else:
                return node

    def _name(self) -> str:
        name = self._token
        if self._kind != "name" or name in _RESERVED or name in _LITERALS:
            raise self._mistake("a name expected")
        self._advance()
        return name

    def _primary(self) -> Node:
        if self._take("("):
            node = self._expression()
            self._need(")")
            return node
        if self._take("["):
            return call(listed, tuple(self._expressions("]")))
        if self._kind in ("int", "double", "text"):
            return self._literal()
        if self._kind == "name" and self._token in _LITERALS:
            node = constant(_LITERALS[self._token])
            self._advance()
            return node
        name = self._name()
        if self._take("("):
            return self._call(name)
        self.names.add(name)
        return fact(name)

    def _literal(self) -> Node:
        value: Any = self._token
        if self._kind == "int":
            value = int(value, 0) if value.startswith("0x") else int(value)
            if value >= 2**63:
                raise self._mistake("an integer has 64 bits")
        elif self._kind == "double":
            value = float(value)
        else:
            value = self._unescaped(value[1:-1])
        self._advance()
        if self._kind == "name" and self._token in ("u", "U"):
            raise self._mistake("unsigned integers are not supported")
        return constant(value)

    def _unescaped(self, text: str) -> str:
        def character(match: re.Match[str]) -> str:
            code = match[1] or match[2]
            made = chr(int(code, 16)) if code else _ESCAPED.get(match[3], "")
            if not made or "\ud800" <= made <= "\udfff":
                raise self._mistake(f"unknown escape {match[0]!r}")
            return made

        return _ESCAPE.sub(character, text)

    def _expressions(self, closing: str) -> list[Node]:
        nodes: list[Node] = []
        while not self._take(closing):
            if nodes:
                self._need(",")
            nodes.append(self._expression())
        return nodes

    def _call(self, name: str) -> Node:
        return self._applied(FUNCTIONS, name, self._expressions(")"))

    def _method(self, node: Node, name: str) -> Node:
        return self._applied(METHODS, name, self._expressions(")"), node)

    def _applied(self, known: Mapping[tuple[str, int], Node], name: str, given: list[Node], *first: Node) -> Node:
        function = known.get((name, len(given)))
        if function is None:
            raise self._mistake(f"{name}() with {len(given)} arguments is not supported")
        return call(function, (*first, *given))
