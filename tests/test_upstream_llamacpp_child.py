"""The child process: what it reads, says and listens to, and that it never outlives its parent."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.settings import models_dir
from gateway.upstream.llamacpp_child import ChildAddress, ModelParameters
from gateway.upstream.model_files import resolve

COMMAND = [sys.executable, "-m", "gateway.upstream.llamacpp_child"]
KEY = "a key that the parent made up"


def parameters(model: Path) -> bytes:
    """The one line that a child reads."""
    told = ModelParameters(model=str(model), alias="alias", api_key=KEY, threads=2, parallel=1, context=256)
    return msgspec.json.encode(told) + b"\n"


def test_a_child_whose_parent_is_gone_before_it_spoke_ends() -> None:
    """Stdin without a line is the end of the parent."""
    finished = subprocess.run(COMMAND, input=b"", capture_output=True, check=True, timeout=60)  # noqa: S603
    assert finished.stdout == b""


def test_a_file_that_is_no_model_is_told_in_a_line_of_its_own(tmp_path: Path) -> None:
    """The line names the file, stdout stays empty, and the exit status is 1."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF and then nothing")
    finished = subprocess.run(COMMAND, input=parameters(path), capture_output=True, check=False, timeout=60)  # noqa: S603
    assert finished.returncode == 1
    assert finished.stdout == b""
    assert any(line.startswith(f"{path} cannot be loaded") for line in finished.stderr.decode().splitlines())


def test_parameters_do_not_show_the_key() -> None:
    """Whoever logs them logs no secret."""
    assert KEY not in repr(msgspec.json.decode(parameters(Path("model.gguf")), type=ModelParameters))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
def test_a_child_dies_with_its_parent_even_while_it_cannot_read_stdin() -> None:
    """SIGKILL to the parent ends a child that is busy; seen by the end of the pipe that only the child holds."""
    busy = (
        "import signal; from gateway.upstream.llamacpp_child import die_with_parent; die_with_parent();"
        " print('busy', flush=True); signal.pause()"
    )
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {busy!r}]); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline() == b"busy\n"
        process.kill()
        assert process.stdout.read() == b""


def post(url: str, key: str | None) -> int:
    """The status of a short chat completion."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}).encode()
    request = urllib.request.Request(url + "/v1/chat/completions", body, {"Content-Type": "application/json"})  # noqa: S310
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            assert json.load(reply)["model"] == "alias"
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture
def serving() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A child with a real model, and its address."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(parameters(resolve("smollm2-135m", models_dir())))
        process.stdin.flush()
        try:
            yield process, msgspec.json.decode(process.stdout.readline(), type=ChildAddress).address
        finally:
            process.kill()


@pytest.mark.model
def test_a_child_answers_those_who_have_the_key_until_stdin_ends(
    serving: tuple["subprocess.Popen[bytes]", str],
) -> None:
    """On the loopback address only; Ctrl-C does not reach it; the end of stdin ends it with status 0."""
    process, address = serving
    assert process.stdin is not None
    assert address.startswith("http://127.0.0.1:")
    assert [post(address, key) for key in (None, "guessed", KEY)] == [401, 401, 200]
    process.send_signal(signal.SIGINT)
    assert post(address, KEY) == 200
    process.stdin.close()
    assert process.wait(timeout=60) == 0
