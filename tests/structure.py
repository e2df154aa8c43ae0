"""The structure of the two packages in numbers: rooms, floors, arrows, circles, sizes, and how the docstrings read.

``python -m tests.structure`` prints one row per package. The house tests use the same functions.
"""

import ast
import functools
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "optimizer")
RELATIVE = re.compile(r"\b(what|whatever|who|whom|whose|whoever|where|wherever|which|that)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Graph = Mapping[str, set[str]]


def modules(package: str, root: Path = ROOT) -> list[Path]:
    """Return every module of a package, sorted by path."""
    return sorted((root / package).rglob("*.py"))


@functools.cache
def tree(module: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(module.read_text(encoding="utf-8"))


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every docstring: module, classes, functions."""
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def sentences(text: str) -> list[str]:
    """Cut a docstring into sentences."""
    return [sentence for sentence in SENTENCE_END.split(text) if sentence.strip()]


def relative_words(paths: Iterable[Path]) -> float:
    """Return the number of relative words per docstring sentence; 0.0 for no sentences."""
    words = count = 0
    for path in paths:
        for _, text in docstrings(tree(path)):
            for sentence in sentences(text):
                words, count = words + len(RELATIVE.findall(sentence)), count + 1
    return words / count if count else 0.0


def room_of(module: str) -> str:
    """Return the room of a module: the second part of its dotted name, or the package itself."""
    return ".".join(module.split(".")[:2])


def room_imports(package: str, root: Path = ROOT) -> dict[str, set[str]]:
    """Return which rooms of a package import which others."""
    known = {_dotted(path, root) for path in modules(package, root)}
    arrows: dict[str, set[str]] = {room_of(module): set() for module in known if module != package}
    for path in modules(package, root):
        importer = room_of(_dotted(path, root))
        for target in _imports(tree(path), known):
            if room_of(target) != importer and package not in (target, importer):
                arrows[importer].add(room_of(target))
    return arrows


def circles(arrows: Graph) -> list[set[str]]:
    """Return the groups of rooms that import each other in a loop (strongly connected, two rooms or more)."""
    reach = {room: _reachable(room, arrows) for room in arrows}
    groups = {frozenset({room, *(other for other in reach[room] if room in reach[other])}) for room in arrows}
    return [set(group) for group in groups if len(group) > 1]


def floors(arrows: Graph) -> int:
    """Return the length of the longest chain of imports; rooms of one circle stand on one floor."""
    group = {room: min({room, *circle}) for room in arrows for circle in [_circle_of(room, arrows)]}
    above: dict[str, set[str]] = defaultdict(set)
    for room, targets in arrows.items():
        above[group[room]] |= {group[target] for target in targets} - {group[room]}
    heights: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in heights:
            heights[room] = 1 + max((height(target) for target in above[room]), default=0)
        return heights[room]

    return max((height(room) for room in list(above)), default=0)


def function_lengths(paths: Iterable[Path]) -> list[int]:
    """Return the lines of every function, nested functions included."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in paths
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def class_names(paths: Iterable[Path]) -> Counter[str]:
    """Count how many classes bear each name."""
    return Counter(node.name for path in paths for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef))


def measures(package: str, root: Path = ROOT) -> dict[str, object]:
    """Return the row of a package."""
    paths, arrows = modules(package, root), room_imports(package, root)
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    largest = max(lines, key=lambda path: lines[path])
    return {
        "package": package,
        "modules": len(paths),
        "lines": sum(lines.values()),
        "rooms": len(arrows),
        "floors": floors(arrows),
        "arrows": sum(len(targets) for targets in arrows.values()),
        "circles": len(circles(arrows)),
        "median function": statistics.median(function_lengths(paths)),
        "largest module": f"{lines[largest]} ({largest.relative_to(root).as_posix()})",
        "relative words per sentence": round(relative_words(paths), 3),
        "class names used twice": sum(count > 1 for count in class_names(paths).values()),
    }


def _dotted(path: Path, root: Path) -> str:
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(module: ast.Module, known: set[str]) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if node.module in known and any(name not in known for name in inner):
                yield node.module


def _reachable(room: str, arrows: Graph) -> set[str]:
    seen: set[str] = set()
    waiting = [room]
    while waiting:
        for target in arrows.get(waiting.pop(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def _circle_of(room: str, arrows: Graph) -> set[str]:
    return next((circle for circle in circles(arrows) if room in circle), {room})


if __name__ == "__main__":
    base = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    rows = [measures(package, base) for package in PACKAGES]
    for name in rows[0]:
        print(f"| {name} | " + " | ".join(str(row[name]) for row in rows) + " |")  # noqa: T201
    both = [path for package in PACKAGES for path in modules(package, base)]
    doubled = sorted(name for name, count in class_names(both).items() if count > 1)
    print(f"class names used twice over both packages: {len(doubled)}: {', '.join(doubled)}")  # noqa: T201
