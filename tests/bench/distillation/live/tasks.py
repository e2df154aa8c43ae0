"""The tasks of the live benchmark: where their items come from, and what the operator's prompt says.

Made by a generator, drawn from a file that lies elsewhere, or read from Debian's index of packages. A task whose
source is not at hand is left out with a word.
"""

import gzip
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import click

from gateway.domain import Value
from optimizer.demo.problems import BASE_PROMPT, problems
from tests.bench.distillation.house_policy import (
    DESKS,
    PolicyRule,
    base_prompt,
    changed_policy,
    draw_policy,
    tickets,
    true_rules,
)
from tests.bench.distillation.live.data import Question, Questions

DATA: Final = Path(__file__).parents[5] / "shared" / "data"
SECTIONS: Final = 20
"""Sections of Debian among which a package is to be put."""


class Sizes(Value, frozen=True):
    """How many items, drawn with which seed, and where the files lie."""

    seed: int
    train: int
    test: int
    data: Path = DATA


class Missing(click.ClickException):
    """The source of a task is not at hand."""


def true_policy(asked: Questions, *, changed: bool = False) -> tuple[PolicyRule, ...] | None:
    """The true rules of a triage task, also after their change; ``None`` for other tasks."""
    if not asked.truth:
        return None
    rules = draw_policy(int(asked.task.rpartition("-")[2]), asked.seed)
    return changed_policy(rules, asked.seed) if changed else rules


def _triage(count: int, name: str, sizes: Sizes) -> Questions:
    rules = draw_policy(count, sizes.seed)

    def drawn(name: str, rules: tuple[PolicyRule, ...], seed: int, later: Questions | None) -> Questions:
        made = [
            Question(question=ticket.message, expected=ticket.desk) for ticket in islice(tickets(rules, seed), wanted)
        ]
        return _split(
            name, sizes, made, prompt=base_prompt(), labels=DESKS, truth=true_rules(rules), later=later
        )  # fmt: skip

    wanted = sizes.train + sizes.test
    after = drawn(name, changed_policy(rules, sizes.seed), sizes.seed + 1, None)
    return drawn(name, rules, sizes.seed, after)


def _by_lot(name: str, sizes: Sizes) -> Questions:
    """Tickets whose desk was drawn by lot, each as likely as another: nothing can be learnt."""
    made, lot = _triage(6, name, sizes), Random(sizes.seed)
    drawn = [Question(question=one.question, expected=lot.choice(DESKS)) for one in (*made.test, *made.train)]
    return _split(name, sizes, drawn, prompt=made.prompt, labels=made.labels)


def _split(name: str, sizes: Sizes, made: list[Question], **more: object) -> Questions:
    test, train = made[: sizes.test], made[sizes.test : sizes.test + sizes.train]
    return Questions(task=name, seed=sizes.seed, test=tuple(test), train=tuple(train), **more)  # type: ignore[arg-type]


def _filed(file: str, prompt: str, grader: str, closed: bool, name: str, sizes: Sizes) -> Questions:
    every = list(dict.fromkeys(_lines(sizes.data / f"{file}.jsonl.gz")))
    chosen = Random(sizes.seed).sample(every, min(len(every), sizes.train + sizes.test))
    labels = tuple(sorted({one.expected for one in every})) if closed else ()
    return _split(name, sizes, chosen, prompt=prompt.format(labels=", ".join(labels)), grader=grader, labels=labels)


def _lines(path: Path) -> list[Question]:
    return [Question(question=one["input"], expected=one["expected"]) for one in _records(path)]


def _records(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        raise Missing(f"there is no {path.name}: say where it lies with --data")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _adjectives(name: str, sizes: Sizes) -> Questions:
    every = [
        Question(question=one["input"], expected=one["target"].strip("()"))
        for one in _records(sizes.data / "bbh_recorded.jsonl.gz")
        if one["task"] == "hyperbaton"
    ]
    chosen = Random(sizes.seed).sample(every, min(len(every), sizes.train + sizes.test))
    return _split(name, sizes, chosen, prompt="Answer the question. Reply with only A or B.", labels=("A", "B"))


def _word_problems(name: str, sizes: Sizes) -> Questions:
    made = [
        Question(question=one.question, expected=str(one.answer))
        for one in islice(problems(sizes.seed), sizes.train + sizes.test)
    ]
    return _split(name, sizes, made, prompt=BASE_PROMPT, grader="numeric")


def _debian(name: str, sizes: Sizes) -> Questions:
    command = shutil.which("apt-cache")
    if command is None:
        raise Missing("there is no apt-cache, and so no index of Debian's packages")
    index = subprocess.run((command, "dumpavail"), capture_output=True, text=True, check=True).stdout  # noqa: S603
    found: dict[str, str] = {}
    for block in index.split("\n\n"):
        section = re.search(r"^Section: (?:[\w.-]+/)?([\w-]+)$", block, re.MULTILINE)
        about = re.search(r"^Description(?:-en)?: (.+)$", block, re.MULTILINE)
        package = re.search(r"^Package: (.+)$", block, re.MULTILINE)
        if section and about and package:
            found.setdefault(f"{package[1]}: {about[1]}", section[1])
    if not found:
        raise Missing("apt-cache knows no package: apt-get update brings the index")
    names = sorted(name for name, _ in Counter(found.values()).most_common(SECTIONS))
    random = Random(sizes.seed)
    by_name = {name: sorted(text for text, section in found.items() if section == name) for name in names}
    made = [
        Question(question=random.choice(by_name[name]), expected=name)
        for name in (random.choice(names) for _ in range(2 * (sizes.train + sizes.test)))
    ]
    prompt = "To which section of Debian does the package belong? Reply with only one name out of: " + ", ".join(names)
    return _split(name, sizes, list(dict.fromkeys(made)), prompt=prompt, labels=tuple(names))


TASKS: Final[Mapping[str, Callable[[str, Sizes], Questions]]] = {
    "triage-6": partial(_triage, 6),
    "triage-10": partial(_triage, 10),
    "triage-by-lot": _by_lot,
    "bank12": partial(
        _filed, "bank12",
        "To which intent does the customer's message belong? Reply with only one name out of: {labels}", "exact", True,
    ),
    "spoken-to-written": partial(
        _filed, "spoken_to_written",
        "The text is a transcript of speech. Write it in its written form. Reply with only the written form.",
        "exact", False,
    ),
    "debian-sections": _debian,
    "shoes": partial(
        _filed, "shoes",
        "Which colour of shoes will the customer buy? Reply with only one of: {labels}", "exact", True,
    ),
    "adjective-order": _adjectives,
    "word-problems": _word_problems,
    "gsm8k": partial(_filed, "gsm8k_test", BASE_PROMPT, "numeric", False),
}  # fmt: skip
MOST_OUTPUT: Final[Mapping[str, int]] = {"word-problems": 512, "gsm8k": 512}
"""Output tokens of an answer where the tasks of short answers have too few."""


def questions(task: str, sizes: Sizes) -> Questions:
    """The questions of a task. Raises ``Missing`` where its source is not at hand."""
    return TASKS[task](task, sizes)
