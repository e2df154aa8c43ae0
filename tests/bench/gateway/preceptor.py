"""Our gateway as a target: with everything on, as it is compared with others, or with a part of it off.

A part is switched by configuration or environment, as a user would; one without a switch is taken out by ``prelude``.
"""

import contextlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from gateway.domain import Activation, Rule, RuleSet, Value
from gateway.store.sql import SqlStore
from tests.bench.gateway.process import GATEWAY_CORE, free_port, process, wait_for
from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import FIXED, MODELS, Ground

RULES = ("Write out the working before the answer.", "Check the sum once more.", "Answer with the number only.")


class Variant(Value, frozen=True):
    """A configuration of the gateway and what its replies must say of themselves."""

    match: str | None = "model"
    """How tasks are recognised: by the client's model, or with a regular expression over the system prompt; ``None``
    has no tasks."""
    models: bool = True
    """Whether the client's models are configured; else they pass through to ``default_upstream``, untouched."""
    rules: bool = True
    """Whether a rule set is active."""
    environment: Mapping[str, str] = {}
    arm_headers: bool = True
    """Whether replies name their rules and their arm: that shows what was measured, and is off unless configured."""
    says: Mapping[str, str] = {}
    more: str = ""
    """Sections at the end of the configuration."""
    task: str = ""
    """Lines of each task."""
    model: str = ""
    """Lines of each model."""
    key: str | None = None
    """What clients have to send."""
    prelude: str = ""
    """Python that takes out a part without a switch, before the gateway starts."""


_MAIN: Final = "from gateway.cli import main; main()"
RECOGNISED = {"x-preceptor-rules": "none"}
FULL: Final = Variant(arm_headers=False)
VARIANTS: Final[Mapping[str, Variant]] = {
    "passed through": Variant(match=None, models=False, rules=False, says={"x-preceptor-task": "none"}),
    "a configured model": Variant(match=None, rules=False, says={"x-preceptor-task": "none"}),
    "+ task by model": Variant(rules=False, says=RECOGNISED),
    "+ task by system prompt": Variant(match="system prompt", rules=False, says=RECOGNISED),
    "+ rules, switched off": Variant(environment={"PRECEPTOR_INJECTION": "off"}, says=RECOGNISED),
    "+ rules": FULL,
}


def configuration(variant: Variant, ground: Ground, data: Path, port: int, store: str | None = None) -> str:
    """The TOML of a variant: an upstream, a model and a task for each of the benchmark's models."""
    lines = ["[server]", "lame_duck_s = 0", f"port = {port}", f"data_dir = {json.dumps(str(data))}"]
    if store is not None:
        lines.append(f"store = {json.dumps(store)}")
    if variant.arm_headers:
        lines.append("arm_headers = true")
    if not variant.models:
        lines.append('default_upstream = "fixed"')
    lines += ["[optimizer]", "enabled = false"]
    for name in MODELS:
        lines += [f"[upstreams.{name}]", 'kind = "openai"', f'base_url = "{ground.base_url(name)}"']
        lines += ["max_connections = 4096"]
        if variant.models:
            lines += [f"[models.{_served(variant, name)}]", f'upstream = "{name}"', 'model = "tiny"', variant.model]
        if variant.match is not None:
            also = ', system_prompt = "final answer"' if variant.match == "system prompt" else ""
            lines += [f"[tasks.{name}]", f'match = {{ model = "{name}"{also} }}']
            lines += [f'weak = "served-{name}"', f'strong = "served-{name}"', variant.task]
    return "\n".join([*lines, variant.more])


def _served(variant: Variant, name: str) -> str:
    return name if variant.match is None else f"served-{name}"


@contextlib.contextmanager
def preceptor(
    ground: Ground, name: str = "preceptor", variant: Variant = FULL, *, workers: int = 1, store: str | None = None
) -> Iterator[Target]:
    """A gateway whose rule sets are live. One worker has a core; several have all there are, the load's with them.

    ``store`` is the address of a database that takes the place of a file.
    """
    port = free_port()
    folder = Path(f"{ground.folder}/{port}")
    folder.mkdir()
    data, file, log = folder / "data", folder / "preceptor.toml", folder / "log"
    file.write_text(configuration(variant, ground, data, port, store), encoding="utf-8")
    if variant.rules:
        publish(data, store)
    begin = ("-m", "gateway") if not variant.prelude else ("-c", f"{variant.prelude}\n{_MAIN}")
    command = (sys.executable, *begin, "serve", "-c", str(file), "--workers", str(workers))
    cores = GATEWAY_CORE if workers == 1 else ",".join(map(str, range(os.cpu_count() or 1)))
    headers = {} if variant.key is None else {"authorization": f"Bearer {variant.key}"}
    with process(cores, *command, log=log, environment=variant.environment) as pid:
        wait_for(f"http://127.0.0.1:{port}/readyz", pid, log)
        if variant.rules:
            with urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
            ) as metrics:
                if f'preceptor_rules_version{{task="{FIXED}"}} 1.0'.encode() not in metrics.read():
                    raise click.ClickException("the rules to be measured are not on the air")
        yield Target(
            name=name, pid=pid, base_url=lambda model: f"http://127.0.0.1:{port}/v1", headers=lambda model: headers,
            expected=variant.says,
        )  # fmt: skip


def publish(data: Path, address: str | None = None) -> None:
    """The same rule set for every task."""
    store = SqlStore.open(data, address)
    rules = tuple(Rule(text=text) for text in RULES)
    for task in MODELS:
        published = store.publish(RuleSet(task=task, rules=rules))
        store.activate(Activation(task=task, version=published.version, created=time.time(), by="benchmark"))
    store.close()
