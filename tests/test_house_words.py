"""Plain words, as tests: names that a stranger can guess, and docstrings that are read once.

The measures are those of ``python -m tests.structure``. Each failure names the place and says what to do.
"""

import ast
import re
from collections import defaultdict
from inspect import ismodule
from pathlib import Path

import gateway
import optimizer
from tests.structure import (
    PACKAGES,
    ROOT,
    circles,
    class_names,
    docstrings,
    modules,
    relative_words,
    room_imports,
    tree,
)

MODULES = [path for package in PACKAGES for path in modules(package)]
RIDDLES = frozenset({"one", "found", "told", "said"})
OPENINGS = frozenset(
    (
        "what", "whether", "who", "whom", "whose", "where", "which", "that", "how", "if", "as", "for", "it", "they",
        "those", "these", "so", "and", "but", "or", "of", "by", "to",
    )
)  # fmt: skip
RELATIVE_WORDS = 0.25
"""Relative words per docstring sentence; httpx has 0.14 by the same count."""


def place(module: Path, line: int) -> str:
    return f"{module.relative_to(ROOT).as_posix()}:{line}"


def room(module: Path) -> str:
    """The folder below a package, or the package for its own modules."""
    parts = module.relative_to(ROOT).parts
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def identifiers(module: ast.Module) -> set[tuple[int, str]]:
    """Return every name that a module gives: variables, arguments, attributes, functions, classes."""
    names: set[tuple[int, str]] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name):
            names.add((node.lineno, node.id))
        elif isinstance(node, ast.arg):
            names.add((node.lineno, node.arg))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add((node.lineno, node.attr))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add((node.lineno, node.name))
    return names


def test_a_class_name_means_a_single_thing() -> None:
    """No two classes of the project share a name."""
    doubled = [name for name, count in class_names(MODULES).items() if count > 1]
    assert not doubled, f"give each its own noun: {doubled}"


def test_no_identifier_is_a_riddle() -> None:
    """A name is a noun or a verb: ``one``, ``found``, ``told`` and ``said`` say nothing about the thing."""
    riddles = [
        f"{place(module, line)} {name}"
        for module in MODULES
        for line, name in sorted(identifiers(tree(module)))
        if name in RIDDLES
    ]
    assert not riddles, "name the thing:\n" + "\n".join(riddles)


def test_a_docstring_opens_with_a_verb_or_a_noun() -> None:
    """The first word of a docstring says what the thing does or is."""
    bad = [
        f"{place(module, line)} {text.splitlines()[0]}"
        for module in MODULES
        for line, text in docstrings(tree(module))
        if (word := re.match(r"[A-Za-z]+", text)) and word[0].lower() in OPENINGS
    ]
    assert not bad, 'open with a verb ("Return the ...") or a noun ("The ..."):\n' + "\n".join(bad)


def test_docstrings_are_read_once() -> None:
    """In each room, four docstring sentences hold one relative word at most."""
    rooms: dict[str, list[Path]] = defaultdict(list)
    for module in MODULES:
        rooms[room(module)].append(module)
    shares = {name: round(relative_words(paths), 3) for name, paths in rooms.items()}
    riddling = {name: share for name, share in shares.items() if share > RELATIVE_WORDS}
    assert not riddling, f"say it with nouns, one thought a sentence (at most {RELATIVE_WORDS}): {riddling}"


def test_rooms_import_in_one_direction() -> None:
    """No two rooms of a package import each other, directly or through others."""
    loops = [circle for package in PACKAGES for circle in circles(room_imports(package))]
    assert not loops, f"move what they share to a lower room: {loops}"


def test_the_packages_say_that_they_are_typed() -> None:
    """Type checkers of users read our annotations."""
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)


def test_the_packages_export_what_they_document() -> None:
    """The names at the top of the packages are pinned: whoever adds one means to keep it."""
    public = {
        package.__name__: [name for name, value in vars(package).items() if name[0] != "_" and not ismodule(value)]
        for package in (gateway, optimizer)
    }
    assert public == {"gateway": [], "optimizer": []}
    assert gateway.__version__
