"""The scripted upstream, gateways in front of it, and the official clients."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from optimizer.demo.loopback import loopback_server
from tests.conformance import stage as stages
from tests.conformance.clients import NODE, AsyncClient, Client, NodeClient, SyncClient
from tests.conformance.stage import Running, Stage
from tests.conformance.upstream import ScriptedUpstream

NODE_VERSION = 22
"""The oldest that the client takes."""


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Where servers run while the clients block."""
    with Stage() as made:
        yield made


@pytest.fixture(scope="session")
def upstream() -> ScriptedUpstream:
    """The scripted upstream; each test plays its own answers."""
    return ScriptedUpstream()


@pytest.fixture(scope="session")
def direct(stage: Stage, upstream: ScriptedUpstream) -> str:
    """The upstream's own base URL."""
    return stage.open(loopback_server(upstream))


@pytest.fixture(scope="session")
def gateway(stage: Stage, direct: str) -> Callable[..., Running]:
    """Gateways before the upstream by their settings (see ``stage.config``), each started once."""
    started: dict[str, Running] = {}

    def start(url: str = direct, **changes: Any) -> Running:
        text = stages.config(url, **changes)
        if text not in started:
            started[text] = stage.open(stages.running(text))
        return started[text]

    return start


@pytest.fixture(scope="session")
def through(gateway: Callable[..., Running]) -> Running:
    """The gateway that hands on what it has no endpoint for."""
    return gateway()


@pytest.fixture(scope="session")
def deployed(direct: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of such a gateway started through the command line."""
    with stages.deployed(stages.config(direct), tmp_path_factory.mktemp("deployed")) as url:
        yield url


def node() -> str:
    """A Node that is new enough: the environment's own or the system's. Skips where something is missing."""
    for found in (shutil.which("node", path=str(Path(sys.executable).parent)), shutil.which("node")):
        if found is None:
            continue
        version = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603
        if int(version.removeprefix("v").partition(".")[0]) < NODE_VERSION:
            continue
        if not (NODE / "node_modules" / "openai").is_dir():
            pytest.skip("the packages for Node are not here: run 'npm ci' in tests/conformance/node")
        return found
    pytest.skip(f"Node.js {NODE_VERSION} or newer is not here")


CLIENTS: dict[str, Callable[[], Client]] = {
    "python": SyncClient,
    "python-async": AsyncClient,
    "node": lambda: NodeClient(node()),
}


@pytest.fixture(scope="session", params=["python", "python-async", pytest.param("node", marks=pytest.mark.node)])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Each official client."""
    made = CLIENTS[request.param]()
    yield made
    made.close()
