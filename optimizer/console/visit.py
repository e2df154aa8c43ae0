"""A request to a page as values, and a page's answer. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.domain import Value
from gateway.errors import BadRequest, NotFound
from gateway.services import Services
from gateway.settings import Settings, Task
from gateway.settings.keys import Role
from gateway.store.base import Store
from optimizer.console.visitors import Visitor

CONSOLE = "console, "
"""Beginning of the authors of decisions made here."""


class Page(Value, frozen=True):
    """A template with its values."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


class Redirect(Value, frozen=True):
    """Another address to look at; after a form, so that reloading repeats nothing."""

    to: str


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A request for a page by a visitor with enough rights."""

    services: Services
    visitor: Visitor
    path: tuple[str, ...] = ()
    """The variable parts of the address."""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0
    """Seconds since the epoch."""

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""
        return self.services.settings

    @property
    def store(self) -> Store:
        """The store; a page reads it on its own thread."""
        return self.services.store

    @property
    def by(self) -> str:
        """The author of this visitor's decisions."""
        return CONSOLE + self.visitor.name

    def task(self) -> tuple[str, Task]:
        """Return the task in the address. Raises ``NotFound``."""
        name = self.path[0]
        if name not in self.settings.tasks:
            raise NotFound(f"There is no task {name!r}.")
        return name, self.settings.tasks[name]

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number of the query. Raises ``BadRequest``."""
        return _whole(self.query.get(name, ""), name, default)

    def sent(self, name: str) -> int | None:
        """Return a whole number of the form; ``None`` for an empty field. Raises ``BadRequest``."""
        return _whole(self.form.get(name, ""), name, None)


Handler = Callable[[Visit], Page | Redirect]
"""A page, or what a form does. Blocks: it runs on a thread."""


@dataclass(frozen=True)
class Route:
    """An address with its page. ``{}`` in the pattern is a variable part."""

    method: str
    pattern: str
    handler: Handler
    role: Role = "read"

    def match(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the variable parts of an address; ``None`` for another page's address."""
        wanted = tuple(part for part in self.pattern.split("/") if part)
        if len(wanted) != len(parts) or any(want not in ("{}", part) for want, part in zip(wanted, parts, strict=True)):
            return None
        return tuple(part for want, part in zip(wanted, parts, strict=True) if want == "{}")


def address(*parts: str | int) -> str:
    """Return the address of a page below ``/ui``."""
    return "/ui" + "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _whole(text: str, name: str, default: int | None) -> int | None:
    if not text:
        return default
    if not text.isdecimal() or len(text) > 15:
        raise BadRequest(f"{name} must be a whole number.")
    return int(text)
