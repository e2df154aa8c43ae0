"""The programs in ``examples/`` work as they stand, against a gateway before a scripted upstream."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from optimizer.grading.graders import Submission, grader_for
from tests import fakes
from tests.conformance import replies
from tests.conformance.conftest import node
from tests.conformance.stage import ROOT, Running
from tests.conformance.upstream import ScriptedUpstream, stream, whole

EXAMPLES = ROOT / "examples"
OWN_PYTHON = Path(__file__).parent / "python" / ".venv" / "bin" / "python"
PLAYS_42 = whole(replies.chat(replies.choice("42")))
STREAMS_42 = stream(replies.chunks(replies.delta("42"), replies.delta(finish="stop")))


def run(command: Sequence[str], running: Running, cwd: Path = EXAMPLES) -> str:
    """Run an example against a gateway and return what it prints."""
    environment = {**os.environ, "PRECEPTOR_URL": running.url.removesuffix("/v1"), "PRECEPTOR_KEY": "sk-client"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)  # noqa: PLW1510, S603
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_openai_example_asks_and_is_content(gateway: Callable[..., Running], upstream: ScriptedUpstream) -> None:
    """A right answer is printed, and no feedback is sent."""
    running = gateway()
    upstream.play([PLAYS_42])
    assert run([sys.executable, "openai_client.py"], running) == "42"


def test_the_openai_example_corrects_a_wrong_answer(
    gateway: Callable[..., Running], upstream: ScriptedUpstream
) -> None:
    """A wrong answer is followed by feedback with the right one, which the gateway stores for that exchange."""
    running = gateway()
    upstream.play([whole(replies.chat(replies.choice("41")))])
    assert run([sys.executable, "openai_client.py"], running) == "41\nfeedback sent"
    graded = running.services.store.graded("arithmetic", limit=1)
    assert graded[0].exchange.reply == "41"
    assert graded[0].feedback.expected == 42


def test_the_anthropic_example_streams(gateway: Callable[..., Running], upstream: ScriptedUpstream) -> None:
    """Anthropic's client reads a stream that came from an upstream with OpenAI's API."""
    running = gateway()
    upstream.play([STREAMS_42])
    assert run([sys.executable, "anthropic_client.py"], running) == "42"


@pytest.mark.clients
def test_the_langchain_example_names_its_task(gateway: Callable[..., Running], upstream: ScriptedUpstream) -> None:
    """LangChain's request is served as the task that its header names."""
    running = gateway()
    upstream.play([PLAYS_42])
    assert run([str(OWN_PYTHON), "langchain_client.py"], running) == "42"


@pytest.mark.node
def test_the_ai_sdk_example_streams(gateway: Callable[..., Running], upstream: ScriptedUpstream) -> None:
    """The AI SDK reads a stream; Node finds the packages beside the conformance tests."""
    running = gateway()
    upstream.play([STREAMS_42])
    modules = Path(__file__).parent / "node"
    program = (EXAMPLES / "ai_sdk_client.mjs").read_text(encoding="utf-8")
    copy = modules / "example.mjs"
    copy.write_text(program, encoding="utf-8")
    try:
        assert run([node(), copy.name], running, cwd=modules) == "42"
    finally:
        copy.unlink()


def test_the_custom_grader_can_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines in the grader's docstring are a valid section, and the function grades as it says."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    section = fakes.settings(
        """
        [upstreams.mock]
        kind = "openai"
        base_url = "http://127.0.0.1:9/v1"
        [models.small]
        upstream = "mock"
        model = "tiny"
        [models.large]
        upstream = "mock"
        model = "huge"
        [tasks.estimates]
        match = { header = { x-preceptor-task = "estimates" } }
        weak = "small"
        strong = "large"
        grader = { kind = "python", call = "custom_grader:within_one_per_cent" }
        """
    ).tasks["estimates"]
    grader = grader_for(section.grader)
    assert grader.grade(Submission(text="about 1,005 km"), 1000) == 1.0
    assert grader.grade(Submission(text="about 1,100 km"), 1000) == 0.0
