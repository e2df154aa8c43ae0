"""What every test gets: property tests that never depend on the clock, and recorded data only where it lies."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from gateway.store.sql import SqlStore
from tests.shell import Shell, open_shell

SHARED = Path(__file__).parents[2] / "shared"

RINGS = {
    "clients": "make conformance",
    "drill": "make drills",
    "node": "make conformance",
    "model": 'make test ARGS="-m model"',
    "ollama": 'make test ARGS="-m ollama"',
}
"""Marks of tests beyond the fast ring, and how to run each."""

SLOW = [HealthCheck.too_slow]
settings.register_profile("fast", deadline=None, derandomize=True, suppress_health_check=SLOW, max_examples=25)
settings.register_profile("thorough", deadline=None, derandomize=True, suppress_health_check=SLOW, max_examples=100)
settings.load_profile("fast")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``shared`` where the recorded data is not beside the checkout."""
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("the recorded data is not here: it is expected in ../shared, beside the checkout")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the rings of tests that this run left out, and the command of each."""
    expression = str(terminalreporter.config.getoption("-m"))
    left = [f"{mark} ({command})" for mark, command in RINGS.items() if f"not {mark}" in expression]
    if left:
        terminalreporter.write_line("left out: " + ", ".join(left))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded data; for tests marked ``shared``."""
    return SHARED


@pytest.fixture
async def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Shell]:
    """The command line on a scripted upstream."""
    async with open_shell(tmp_path, capsys) as opened:
        yield opened


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every implementation of a store in turn, empty."""
    opened: Store = MemoryStore() if request.param == "memory" else SqlStore.open(tmp_path)
    yield opened
    opened.close()
