"""Our side of the live benchmark: configurations, ``preceptor distill``, and versions that nobody searched for."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec

from gateway.domain import Value
from gateway.teaching import Decide
from optimizer.dataset.data_file import load_examples
from optimizer.distillation.induction.solved import solved_examples
from optimizer.distillation.lineage import ANY_TIME
from optimizer.distillation.plan import plan_for
from tests.bench.distillation.live import lessons
from tests.bench.distillation.live.data import SECTIONS, STRICT, Questions, examples
from tests.bench.distillation.live.serving import run

AT_ONCE: Final = 2
"""Test items under way: as many as the model works on at once."""
Shots = Literal["fixed", "nearest"]

CONFIGURATION = """\
[server]
data_dir = "{data_dir}"

[upstreams.meter]
kind = "openai"
base_url = "{address}/{name}/{stage}/v1"
total_timeout_s = 1800
first_byte_timeout_s = 1800
queue_timeout_s = 1800

[upstreams.teacher]
kind = "openai"
base_url = "{teacher}/{name}/v1"
total_timeout_s = 3600
first_byte_timeout_s = 3600
queue_timeout_s = 3600

[models.model]
upstream = "meter"
model = "model"

[models.strong]
upstream = "{strong_upstream}"
model = "strong"

[tasks.{task}]
weak = "model"
strong = "{strong}"
labels = {labels}
grader = {grader}

[optimizer]
enabled = false
rounds = {rounds}
max_rules = {max_rules}
selection_items = {selection}
confirmation_items = {confirmation}
concurrency = {at_once}
max_output_tokens = 2048
"""


class DoesNotApply(click.ClickException):
    """A row has nothing to say about a task."""


class Run(Value, frozen=True):
    """What every row is given. ``address`` is the meter's, ``budget`` the tokens that another search may take."""

    questions: Questions
    address: str
    teacher: str
    """The address of the recorder; empty if an embedded model teaches."""
    strong: str
    """``teacher``, ``self``, or the name of an embedded model."""
    folder: Path
    cache: Path
    most_output: int
    selection: int
    confirmation: int
    max_rules: int
    seed: int
    budget: int | None
    characters: int | None
    """What another search may ask of the strong model, answers included."""


def configurations(one: Run, name: str, *, rounds: int = 3, strong: str = "") -> list[Path]:
    """The same gateway in an empty folder, once to search and once to be tested."""
    folder = one.folder / name
    shutil.rmtree(folder, ignore_errors=True)  # its own cache would hide from the meter what it needs
    folder.mkdir(parents=True)
    teaches = strong or one.strong
    configs = []
    for stage in ("search", "test"):
        config = folder / f"{stage}.toml"
        text = CONFIGURATION.format(
            data_dir=folder / "data", address=one.address, name=name, stage=stage, task=one.questions.task,
            teacher=one.teacher or one.address, strong_upstream="teacher" if teaches == "teacher" else "meter",
            strong="model" if teaches == "self" else "strong", labels=json.dumps(list(one.questions.labels)),
            grader=SECTIONS[one.questions.grader], rounds=rounds, max_rules=one.max_rules, selection=one.selection,
            confirmation=one.confirmation, at_once=AT_ONCE,
        )  # fmt: skip
        config.write_text(text, encoding="utf-8")
        configs.append(config)
    return configs


def distilled(config: Path, questions: Questions) -> dict[str, Any]:
    """The outcome of ``preceptor distill --activate``."""
    data = _data(config.parent, questions)
    report = ("--report", str(config.with_name("report.html")))
    told = _preceptor(config, "distill", questions.task, "--data", str(data), "--json", "--activate", *report)
    outcome: dict[str, Any] = msgspec.json.decode(told.splitlines()[-1])
    return outcome


def activated(config: Path, task: str, rules: dict[str, Any]) -> None:
    """Put a version on the air that nobody tested."""
    file = config.with_name("rules.json")
    content = {name: value for name, value in rules.items() if name != "refused"}
    file.write_text(json.dumps({**content, "task": task}), encoding="utf-8")
    _preceptor(config, "rules", "import", task, str(file))
    _preceptor(config, "rules", "activate", task, "1")


def shots(one: Run, mode: Shots, count: int) -> dict[str, Any]:
    """Solved examples and nothing else: those items that ours may show too, or the first few of them."""
    path = _data(one.folder, one.questions)
    every = load_examples(path, STRICT[one.questions.grader])
    plan = plan_for(one.questions.task, every, incumbent=None, started=ANY_TIME, by="bench")
    parts = plan.parts(selection=one.selection, confirmation=one.confirmation)
    solved = solved_examples(parts.induction)
    kept = solved[:count] if mode == "fixed" else solved
    return {"examples": msgspec.to_builtins(kept), "examples_mode": mode, "nearest": count}


def written_rules(one: Run) -> dict[str, Any]:
    """The rules that the strong model writes, untested."""
    config, _ = configurations(one, "rules-alone")
    written = lessons.rules(config, _data(config.parent, one.questions), one.questions.task)
    if not written["rules"]:
        raise DoesNotApply(f"the strong model wrote no rules that may be tried: {written['refused']}")
    return written


def written_worksheet(one: Run, name: str, *, revisions: int = 0, decide: Decide = "state") -> dict[str, Any]:
    """The worksheet that the strong model designs, untested."""
    if not one.questions.labels:
        raise DoesNotApply("its answers are no closed set of labels")
    config, _ = configurations(one, name)
    data = _data(config.parent, one.questions)
    written = lessons.worksheet(config, data, one.questions.task, revisions=revisions)
    if written["worksheet"] is None:
        raise DoesNotApply(f"the strong model designed no worksheet that may be tried: {written['refused']}")
    written["worksheet"]["decide"] = decide
    return written


def _data(folder: Path, questions: Questions) -> Path:
    data = folder / f"train-{questions.seed}-{len(questions.train)}.jsonl"
    data.write_bytes(examples(questions.prompt, questions.train))
    return data


def _preceptor(config: Path, *command: str) -> bytes:
    """What a command of ours prints."""
    return run((sys.executable, "-m", "gateway", *command, "-c", str(config)), config.with_name("commands.log"))
