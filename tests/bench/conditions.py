"""What does a condition cost, and does it mean the same in CEL? ``python -m tests.bench.conditions``.

Compares ``gateway.forms.cel`` with the two packages for CEL, those that are installed: ``cel-python`` (``celpy``) and
``common-expression-language`` (``cel``). Each import is measured in a process of its own.
"""

import importlib.util
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.forms.cel import BadCondition, parse_condition

CONDITION = "city == 'Graz' && days > 30 && item in ['cup', 'plate']"
FACTS = {"city": "Graz", "days": 40, "item": "cup"}
COMPARED = {"a": 3, "b": -2, "c": 1.5, "s": "abc", "t": "", "l": [1, 2.0, "x"], "m": {"k": 1, "s": "abc"}, "y": True,
            "n": False, "z": None}  # fmt: skip
_ATOMS = ("a", "b", "c", "s", "t", "l", "y", "n", "z", "m.k", "m['s']", "l[0]", "1", "0", "2.5", "'abc'", "'b'", "true",
          "null", "[1, 2]", "['abc', a]", "missing")  # fmt: skip
_SIGNS = ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&&", "||", "in")
_IMPORT = (
    "import resource, time; began = time.perf_counter(); before = resource.getrusage(0).ru_maxrss; import {};"
    "memory = (resource.getrusage(0).ru_maxrss - before) / 1024;"
    "print(f'{{(time.perf_counter() - began) * 1000:.0f}} ms, {{memory:.0f}} MB')"
)


def expression(randomness: random.Random, depth: int = 3) -> str:
    """Return a random expression; most have no value."""
    if depth == 0 or randomness.random() < 0.25:
        return randomness.choice(_ATOMS)
    one, other = (expression(randomness, depth - 1) for _ in range(2))
    shapes = (
        f"({one} {randomness.choice(_SIGNS)} {other})",
        f"{one} {randomness.choice(_SIGNS)} {other}",
        f"!({one})",
        f"size({one})",
        f"({one} ? {other} : {one})",
        f"({one}).{randomness.choice(('contains', 'startsWith', 'endsWith'))}({other})",
    )
    return randomness.choice(shapes)


def microseconds(run: Callable[[], object], count: int) -> float:
    """Return the time of a call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            run()
        best = min(best, time.perf_counter() - began)
    return best / count * 1e6


def disagreements(theirs: Callable[[str, Mapping[str, Any]], Any], count: int = 20_000, seed: int = 1) -> list[str]:
    """Return the expressions that are true in only one of the two."""
    randomness = random.Random(seed)
    different = []
    for _ in range(count):
        source = expression(randomness)
        try:
            ours = parse_condition(source).holds(COMPARED)
        except BadCondition:
            different.append(f"{source} is refused")
            continue
        try:
            true = theirs(source, COMPARED) is True
        except Exception:  # noqa: BLE001  any error of the other package means: no value
            true = False
        if ours is not true:
            different.append(f"{source} is {ours} here")
    return different


def main() -> None:
    condition = parse_condition(CONDITION)
    print(f"gateway.forms.cel: parse {microseconds(lambda: parse_condition(CONDITION), 200):.0f} us,"  # noqa: T201
          f" test {microseconds(lambda: condition.holds(FACTS), 20_000):.1f} us")  # fmt: skip
    for package in ("cel", "celpy"):
        if importlib.util.find_spec(package) is None:
            print(f"{package}: not installed")  # noqa: T201
            continue
        command = [sys.executable, "-c", _IMPORT.format(package)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        run = _rust() if package == "cel" else _python()
        print(f"{package}: import {done.stdout.strip()}, test {microseconds(run, 500):.1f} us")  # noqa: T201
    if importlib.util.find_spec("cel") is not None:
        different = disagreements(importlib.import_module("cel").evaluate)
        print(f"true in one and not in the other: {len(different)} of 20,000 expressions", *different[:10], sep="\n  ")  # noqa: T201


def _rust() -> Callable[[], object]:
    program = importlib.import_module("cel").compile(CONDITION)
    return lambda: program.execute(FACTS)


def _python() -> Callable[[], object]:
    celpy = importlib.import_module("celpy")
    environment = celpy.Environment()
    program = environment.program(environment.compile(CONDITION))
    return lambda: program.evaluate(celpy.json_to_cel(FACTS))


if __name__ == "__main__":
    main()
