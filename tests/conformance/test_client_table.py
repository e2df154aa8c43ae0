"""Every client, feature and form: what a program has in hand through the gateway is what it has without it.

Each client speaks to an upstream itself, and to a gateway in front of it whose task has a rule in each form. The table
stands in ``docs/clients.md``; a cell says whether the rule was there.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.rules.live import refresh
from gateway.teaching import DecisionRule, Example, Worksheet
from tests.conformance.answering import ANSWER, ASK, RULE, TOO_LONG, TOO_MUCH, answered
from tests.conformance.clients import NODE
from tests.conformance.conftest import node
from tests.conformance.stage import ROOT, Running
from tests.conformance.upstream import ScriptedUpstream

PAGE = ROOT / "docs" / "clients.md"
PYTHON = Path(__file__).parent / "python"

FEATURES = ("chat", "stream", "tools", "structured", "refused")
ONLY = {"instructor": ("stream", "structured", "refused"), "dspy": ("chat", "structured", "refused")}
"""Features of clients that have not all of them."""
CLIENTS: Mapping[str, tuple[str, Literal["here", "clients", "node"]]] = {
    # as its driver calls it: (as the page calls it, whose packages it needs)
    "openai": ("openai (Python)", "here"),
    "openai-async": ("openai (Python, async)", "here"),
    "openai-responses": ("openai (Python, responses)", "here"),
    "azure": ("AzureOpenAI", "here"),
    "anthropic": ("anthropic (Python)", "here"),
    "ollama": ("ollama (Python)", "here"),
    "langchain": ("langchain-openai, langgraph", "clients"),
    "llama-index": ("llama-index", "clients"),
    "pydantic-ai": ("pydantic-ai", "clients"),
    "instructor": ("instructor", "clients"),
    "openai-agents": ("openai-agents", "clients"),
    "litellm": ("litellm", "clients"),
    "dspy": ("dspy", "clients"),
    "openai-node": ("openai (Node)", "node"),
    "anthropic-node": ("anthropic (Node)", "node"),
    "ai-openai-compatible": ("ai, openai-compatible", "node"),
    "ai-openai": ("ai, openai (responses)", "node"),
    "ai-anthropic": ("ai, anthropic", "node"),
}
EXAMPLE = Example(question="What is 1 + 1?", answer="It is 2", shared=True)
SAYS_WHY = (TOO_LONG, "prompt is too long")
"""The upstream's words, and those on which Anthropic's clients shorten a conversation."""
PLAIN = RuleSet(task="arithmetic", rules=(Rule(text=RULE),))
SHEET = Worksheet(
    schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    decisions=(DecisionRule(when="n == 2", result="four"),),
)
FORMS: Mapping[str, RuleSet] = {
    "none": PLAIN,
    "tags": msgspec.structs.replace(PLAIN, scratchpad="tags"),
    "two_pass": msgspec.structs.replace(PLAIN, scratchpad="two_pass"),
    "examples": msgspec.structs.replace(PLAIN, examples=(EXAMPLE,)),
    "worksheet": msgspec.structs.replace(PLAIN, worksheet=SHEET),
}
CASES = [
    pytest.param(client, feature, marks=[] if where == "here" else [getattr(pytest.mark, where)])
    for client, (_, where) in CLIENTS.items()
    for feature in ONLY.get(client, FEATURES)
]


class Driver:
    """A process in which clients run: an action a line in, an outcome a line out."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "DSPY_CACHEDIR": str(folder)}
        environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
        self._log = (folder / "stderr").open("wb")
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment
        )

    def perform(self, client: str, feature: str, url: str) -> Mapping[str, Any]:
        """Return the outcome: ``seen``, or the name of the client's ``error``, and whether it says why."""
        assert self._process.stdin is not None and self._process.stdout is not None
        action = {"client": client, "feature": feature, "url": url, "ask": ASK}
        if feature == "refused":
            action |= {"feature": "structured" if "chat" not in ONLY.get(client, FEATURES) else "chat", "ask": TOO_MUCH}
        self._process.stdin.write(json.dumps(action).encode() + b"\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "the driver died"}')
        if feature == "refused":
            told["words"] = any(said in told.get("words", "") for said in SAYS_WHY)
        return told

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Mapping[str, Any]]]:
    """Carries out a feature of a client. Each environment has one process."""
    drivers: dict[str, Driver] = {}

    def perform(client: str, feature: str, url: str) -> Mapping[str, Any]:
        where = CLIENTS[client][1]
        if where not in drivers:
            own = {
                "here": lambda: [sys.executable, str(PYTHON / "features.py")],
                "clients": lambda: [str(PYTHON / ".venv" / "bin" / "python"), str(PYTHON / "features.py")],
                "node": lambda: [node(), str(NODE / "features.mjs")],
            }
            drivers[where] = Driver(own[where](), tmp_path_factory.mktemp(where))
        return drivers[where].perform(client, feature, url)

    yield perform
    for driver in drivers.values():
        driver.close()


@pytest.fixture(scope="module")
def taught(gateway: Callable[..., Running]) -> Mapping[str, str]:
    """The address of a gateway for each form, without ``/v1``."""
    urls = {}
    for form, rule_set in FORMS.items():
        running = gateway(upstream=f"# the table, {form}")
        store = running.services.store
        published = store.publish(rule_set)
        store.activate(Activation(task="arithmetic", version=published.version, created=0, by="test"))
        refresh(store, running.services.rules)
        urls[form] = running.url.removesuffix("/v1")
    return urls


Cells = dict[tuple[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def cells() -> Cells:
    """For each client and feature: what the page says under each form."""
    return {}


@pytest.mark.parametrize(("client", "feature"), CASES)
def test_a_client_has_the_same_in_hand(
    client: str,
    feature: str,
    drive: Callable[..., Mapping[str, Any]],
    direct: str,
    taught: Mapping[str, str],
    upstream: ScriptedUpstream,
    cells: Cells,
) -> None:
    """In every form as directly; no working shows."""
    upstream.play([answered])
    without = drive(client, feature, direct.removesuffix("/v1"))
    if feature == "refused":
        assert without["words"], without
    else:
        assert any(mark in str(without.get("seen")) for mark in (ANSWER, "4", '"a":2', "'a': 2")), without
    row = cells[client, feature] = {}
    for form, url in taught.items():
        upstream.play([answered])
        seen = drive(client, feature, url)
        told = any(RULE in asked.body.decode() for asked in upstream.asked)
        row[form] = ("rules" if told else "as is") if seen == without else "DIFFERS"
        assert seen == without, form


@pytest.mark.clients
@pytest.mark.node
def test_the_page_shows_every_cell(cells: Cells) -> None:
    """Runs behind the cases above, and needs all of them."""
    if len(cells) < len(CASES):
        pytest.skip("only a part of the table was run")
    lines = [f"| client | feature | {' | '.join(FORMS)} |", f"| --- | --- |{' --- |' * len(FORMS)}"]
    for client, (name, _) in CLIENTS.items():
        for feature in ONLY.get(client, FEATURES):
            row = cells[client, feature]
            lines.append(f"| {name} | {feature} | {' | '.join(row[form] for form in FORMS)} |")
    table = "\n".join(lines)
    assert table in PAGE.read_text(encoding="utf-8"), f"docs/clients.md should hold this:\n{table}"
