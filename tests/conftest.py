"""What every test gets: property tests that never depend on the clock, and recorded data only where it lies."""

import contextlib
import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from gateway.store.sql import SqlStore
from gateway.store.sqlite import FILE
from tests.postgres import MISSING, PostgresServer, server_in
from tests.shell import Shell, open_shell

FOLDER = Path.cwd()
SHARED = Path(__file__).parents[2] / "shared"

RINGS = {
    "browser": "make browser",
    "chart": "make chart",
    "clients": "make conformance",
    "drill": "make drills",
    "fuzz": "make fuzz",
    "node": "make conformance",
    "model": 'make test ARGS="-m model"',
    "ollama": 'make test ARGS="-m ollama"',
}
"""Marks of tests beyond the fast ring, and how to run each."""

SLOW = [HealthCheck.too_slow]
settings.register_profile("fast", deadline=None, derandomize=True, suppress_health_check=SLOW, max_examples=25)
settings.register_profile("thorough", deadline=None, derandomize=True, suppress_health_check=SLOW, max_examples=100)
settings.load_profile("fast")


def pytest_configure() -> None:
    """Take Ctrl-C again: what a shell starts in the background ignores it, and so would every process below."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes for ``-n auto``: two per core, because tests of servers and clocks mostly wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give drills more time than the fast tests have, and random input as much as was asked for."""
    for item in items:
        for mark, limit_s in (("drill", 1800), ("fuzz", 0)):
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.timeout(limit_s))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``shared`` where the recorded data is not beside the checkout."""
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("the recorded data is not here: it is expected in ../shared, beside the checkout")


@pytest.hookimpl(trylast=True)  # after the fixtures put back what they changed
def pytest_runtest_teardown() -> None:
    """Fail a test that leaves its process changed: the tests after it would pass or fail by their order."""
    left = {
        "logging is switched off": logging.root.manager.disable > 0,
        "the garbage collector is switched off": not gc.isenabled(),
        "the working folder is another": Path.cwd() != FOLDER,
    }
    logging.disable(logging.NOTSET)
    gc.enable()
    os.chdir(FOLDER)
    assert not any(left.values()), ", ".join(what for what, changed in left.items() if changed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the rings of tests that this run left out, and the command of each."""
    expression = str(terminalreporter.config.getoption("-m"))
    left = [f"{mark} ({command})" for mark, command in RINGS.items() if f"not {mark}" in expression]
    if left:
        terminalreporter.write_line("left out: " + ", ".join(left))
    skipped = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    if missing := [reason for reason in skipped if MISSING in reason]:
        terminalreporter.write_line(f"left out: {len(missing)} tests on Postgres{missing[0].partition(MISSING)[2]}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded data; for tests marked ``shared``."""
    return SHARED


@pytest.fixture
async def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Shell]:
    """The command line on a scripted upstream."""
    async with open_shell(tmp_path, capsys) as opened:
        yield opened


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database in which nothing was stored yet; making it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("new")
    SqlStore.open(folder).close()
    return folder / FILE


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real Postgres, shared with the other processes of this run."""
    folder = tmp_path_factory.getbasetemp()
    run = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    # Beside pytest's own folders: those are closed to the user as whom root starts a server.
    with server_in(Path(tempfile.gettempdir()) / f"postgres-of-{run.parent.name}-{run.name}") as server:
        yield server


@pytest.fixture
def address(postgres: PostgresServer) -> Iterator[str]:
    """The address of a database on Postgres with empty tables."""
    with postgres.database() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """The store on every SQL database in turn, empty."""
    address = request.getfixturevalue("address") if request.param == "postgres" else None
    if address is None:
        shutil.copy(request.getfixturevalue("new_database"), tmp_path)
    with contextlib.closing(SqlStore.open(tmp_path, address, busy_timeout_s=0.2)) as opened:
        yield opened


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every implementation of a store in turn, empty."""
    address = request.getfixturevalue("address") if request.param == "postgres" else None
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("new_database"), tmp_path)
    opened: Store = MemoryStore() if request.param == "memory" else SqlStore.open(tmp_path, address)
    yield opened
    opened.close()
