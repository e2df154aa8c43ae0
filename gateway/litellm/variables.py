"""What must not stand in a file, as ``${NAME}``: keys and other secrets, and whatever LiteLLM takes from outside."""

import re
from collections.abc import Iterable

_REFERENCE = "os.environ/"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USED = re.compile(rf"\$\{{({_NAME.pattern})\}}")


def referred(value: object) -> str | None:
    """The variable that ``os.environ/NAME`` names, if it can be one."""
    name = value.removeprefix(_REFERENCE) if isinstance(value, str) and value.startswith(_REFERENCE) else ""
    return name if _NAME.fullmatch(name) else None


class Variables:
    """The environment variables that a configuration needs, each with what it must hold."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._literals: dict[tuple[str, str], str] = {}
        self._held: dict[str, str] = {}

    def holding(self, value: object, suggestion: str, place: str) -> str:
        """``${NAME}``: the variable that a value refers to, or a new one for a value that stands in the file itself."""
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
        """``${NAME}`` for a variable that the environment has under that name already."""
        self._held.setdefault(name, what)
        return f"${{{name}}}"

    def in_text(self, text: str) -> dict[str, str]:
        """The variables that a text names, in that order, and what each must hold."""
        return {name: self._held.get(name, "named in the file itself") for name in _USED.findall(text)}
