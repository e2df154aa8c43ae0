"""The rows of the live benchmark: ways to bring one small model to answer, each measured on the same test items.

A row searches (or not), then answers every test item; what it asks for goes through the meter. Grades nothing.
"""

import json
import shutil
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain import Scratchpad, Value
from optimizer.demo.problems import BASE_PROMPT
from tests.bench.distillation.live import peers
from tests.bench.distillation.live.data import Question, Questions, examples, messages
from tests.bench.distillation.live.meter import TIMEOUT_S, Used
from tests.bench.distillation.live.serving import gateway, run

CHAIN_OF_THOUGHT: Final = (
    "Solve the problem step by step, and write out every calculation. Then write the final answer on the last line, as"
    " 'Answer: ' and the number."
)
AT_ONCE: Final = 2
"""Test items under way: as many as the model works on at once."""

OURS = """\
[server]
data_dir = "{data_dir}"

[upstreams.meter]
kind = "openai"
base_url = "{address}/{name}/{stage}/v1"
total_timeout_s = 1800
first_byte_timeout_s = 1800
queue_timeout_s = 1800

[models.model]
upstream = "meter"
model = "model"

[tasks.{task}]
weak = "model"
strong = "model"
grader = {{ kind = "numeric" }}

[optimizer]
enabled = false
max_rules = 4
selection_items = {selection}
confirmation_items = {confirmation}
concurrency = {at_once}
max_output_tokens = {most_output}
"""


class Run(Value, frozen=True):
    """What every row is given. ``address`` is the meter's, ``budget`` the tokens that a search may take."""

    questions: Questions
    address: str
    folder: Path
    cache: Path
    most_output: int
    selection: int
    confirmation: int
    seed: int
    budget: int | None


class Row(Value, frozen=True):
    """What came of a row."""

    name: str
    replies: tuple[str, ...]
    """What the caller receives for each test item."""
    found: Any
    """The prompt, rules or program that was used, and what the search said of it."""
    search: Used
    test: Used


def ask(url: str, model: str, chat: Sequence[Mapping[str, str]], most_output: int) -> str:
    """One reply, at temperature 0."""
    body = {"model": model, "messages": list(chat), "temperature": 0, "max_tokens": most_output}
    request = urllib.request.Request(  # noqa: S310  # an address on loopback
        f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
        return json.load(reply)["choices"][0]["message"]["content"] or ""


def _asked(one: Run, url: str, model: str, prompt: str) -> list[str]:
    def reply(question: Question) -> str:
        return ask(url, model, messages(prompt, question.question), one.most_output)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(reply, one.questions.test))


def prompted(name: str, prompt: str) -> Callable[[Run], tuple[list[str], Any]]:
    """A row without a search."""
    return lambda one: (_asked(one, f"{one.address}/{name}/test/v1", "model", prompt), {"prompt": prompt})


def ours(one: Run) -> tuple[list[str], Any]:
    """``preceptor distill --activate``, then the base prompt through the gateway that serves what came of it."""
    task, (search, test) = one.questions.task, _configurations(one, "ours")
    data = search.with_name("train.jsonl")
    data.write_bytes(examples(one.questions.train))
    report = ("--report", str(search.with_name("report.html")))
    told = _preceptor(search, "distill", task, "--data", str(data), "--json", "--activate", *report)
    with gateway(test) as url:
        return _asked(one, url, f"task:{task}", BASE_PROMPT), msgspec.json.decode(told.splitlines()[-1])


def form_alone(name: str, form: Scratchpad) -> Callable[[Run], tuple[list[str], Any]]:
    """A scratchpad without any rule, which our engine never proposes: what is left of a gain is the rules'."""

    def answered(one: Run) -> tuple[list[str], Any]:
        task, (_, test) = one.questions.task, _configurations(one, name)
        rules = {"task": task, "scratchpad": form, "rules": []}
        file = test.with_name("rules.json")
        file.write_text(json.dumps(rules), encoding="utf-8")
        _preceptor(test, "rules", "import", task, str(file))
        _preceptor(test, "rules", "activate", task, "1")
        with gateway(test) as url:
            return _asked(one, url, f"task:{task}", BASE_PROMPT), rules

    return answered


def _configurations(one: Run, name: str) -> list[Path]:
    """The same gateway in an empty folder, once to search and once to be tested."""
    folder = one.folder / name
    shutil.rmtree(folder, ignore_errors=True)  # its own cache would hide from the meter what it needs
    folder.mkdir(parents=True)
    configs = []
    for stage in ("search", "test"):
        config = folder / f"{stage}.toml"
        text = OURS.format(
            data_dir=folder / "data", address=one.address, name=name, stage=stage, task=one.questions.task,
            selection=one.selection, confirmation=one.confirmation, at_once=AT_ONCE, most_output=one.most_output,
        )  # fmt: skip
        config.write_text(text, encoding="utf-8")
        configs.append(config)
    return configs


def _preceptor(config: Path, *command: str) -> bytes:
    """What a command of ours prints."""
    return run((sys.executable, "-m", "gateway", *command, "-c", str(config)), config.with_name("commands.log"))


def child(name: str, peer: str, **how: Any) -> Callable[[Run], tuple[list[str], Any]]:
    """A row that another project's optimiser answers, in its own environment."""

    def answered(one: Run) -> tuple[list[str], Any]:
        told = {
            "search": f"{one.address}/{name}/search", "test": f"{one.address}/{name}/test",
            "grade": f"{one.address}/grade", "prompt": BASE_PROMPT, "most_output": one.most_output,
            "train": msgspec.to_builtins(one.questions.train), "items": msgspec.to_builtins(one.questions.test),
            "seed": one.seed, "budget": one.budget, "at_once": AT_ONCE,
            "selection": one.selection,
        }  # fmt: skip
        result = peers.asked(peer, told | how, cache=one.cache, log=one.folder / f"{name}.log")
        return result["replies"], result["found"]

    return answered


ROWS: Final[Mapping[str, Callable[[Run], tuple[list[str], Any]]]] = {
    "base": prompted("base", BASE_PROMPT),
    "chain-of-thought": prompted("chain-of-thought", CHAIN_OF_THOUGHT),
    "ours": ours,
    "gepa": child("gepa", "gepa"),
    "dspy-rules": child("dspy-rules", "dspy", program="ChainOfThought", optimise=True),
    "tags-alone": form_alone("tags-alone", "tags"),
    "two-pass-alone": form_alone("two-pass-alone", "two_pass"),
    "dspy-cot": child("dspy-cot", "dspy", program="ChainOfThought", optimise=False),
    "dspy-predict": child("dspy-predict", "dspy", program="Predict", optimise=False),
}
