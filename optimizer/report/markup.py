"""HTML elements with every text escaped. Models and users wrote much of a report, and some of them mean harm.

A ``str`` is always text; markup comes from ``element`` only. No string gets into a page unescaped.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

VOID = frozenset({"meta", "line", "circle", "rect", "br"})
"""Elements without an end tag."""
_NAME = re.compile(r"[a-z][a-zA-Z0-9-]*")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, and characters that turn the direction of the text around them."""


class Html:
    """Markup. Made by ``element`` and ``document`` only."""

    def __init__(self, text: str) -> None:
        self.text = text


Child: TypeAlias = "str | Html | Iterable[Child] | None"


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Make an element. ``class_`` means ``class``, ``_`` means ``-``; ``True`` is a bare attribute, ``None`` none."""
    tag = _checked(name)
    shown = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in VOID and not children:
        return Html(f"<{tag}{shown}/>")
    return Html(f"<{tag}{shown}>{_inner(children)}</{tag}>")


def document(head: Iterable[Html], *body: Child, style: str) -> str:
    """Make a whole page. ``style`` is our own style sheet, never a user's text: a ``<`` in it is an error."""
    if "<" in style:
        raise ValueError("a style sheet holds no '<'")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{_inner(head)}<style>{style}</style></head>'
        f"<body>{_inner(body)}</body></html>\n"
    )


def seen(text: str) -> str:
    """Replace invisible characters by a replacement character."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def _inner(children: Child) -> str:
    if children is None:
        return ""
    if isinstance(children, Html):
        return children.text
    if isinstance(children, str):
        return escape(seen(children))
    return "".join(map(_inner, children))


def _attribute(key: str, value: str | float | bool) -> str:
    name = _checked(key.rstrip("_").replace("_", "-"))
    if value is True:
        return f" {name}"
    return f' {name}="{escape(seen(str(value)))}"'


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name")
    return name
