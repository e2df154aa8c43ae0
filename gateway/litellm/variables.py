"""Environment variables, ``${NAME}``, in place of keys and other secrets, and of LiteLLM's own variables."""

import re
from collections.abc import Iterable

_REFERENCE = "os.environ/"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USED = re.compile(rf"\$\{{({_NAME.pattern})\}}")


def referred(value: object) -> str | None:
    """Return the name in ``os.environ/NAME``; ``None`` for any other value or an impossible name."""
    name = value.removeprefix(_REFERENCE) if isinstance(value, str) and value.startswith(_REFERENCE) else ""
    return name if _NAME.fullmatch(name) else None


class Variables:
    """The environment variables of a configuration, each with a description of its value."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._literals: dict[tuple[str, str], str] = {}
        self._held: dict[str, str] = {}

    def holding(self, value: object, suggestion: str, place: str) -> str:
        """Return ``${NAME}``: the variable named by a value, or a new variable for a literal value."""
        name = referred(value)
        if name is not None:
            return self.known(name, "as for LiteLLM")
        kind = re.sub(r"[^A-Z0-9_]+", "_", suggestion.upper()).lstrip("_0123456789") or "VALUE"
        name = self._literals.get((kind, str(value)))
        if name is None:
            number, name = 1, kind
            while name in self._taken:
                number += 1
                name = f"{kind}_{number}"
            self._taken.add(name)
            self._literals[kind, str(value)] = name
        return self.known(name, f"the value of {place}")

    def known(self, name: str, what: str) -> str:
        """Return ``${NAME}`` for a variable of LiteLLM's own environment."""
        self._held.setdefault(name, what)
        return f"${{{name}}}"

    def in_text(self, text: str) -> dict[str, str]:
        """Return the variables in a text, in order, each with a description of its value."""
        return {name: self._held.get(name, "named in the file itself") for name in _USED.findall(text)}
