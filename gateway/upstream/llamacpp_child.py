"""The process of an embedded model: ``python -m gateway.upstream.llamacpp_child``.

Reads its ``ModelParameters`` as a line of JSON from stdin (the key must not stand on a command line), loads the model,
prints ``{"address": "http://127.0.0.1:PORT"}`` as the only line on stdout and serves until stdin ends. The parent holds
the other end of stdin, so the child ends with the parent in every case. llama.cpp's log goes to stderr. A process of
its own, because a crash of native code or a lack of memory must not take the gateway along; ``upstream.llamacpp``
supervises it.
"""

import ctypes
import os
import signal
import sys
from typing import BinaryIO

import msgspec

_PR_SET_PDEATHSIG = 1
_LOG_WARNINGS = 2
"""llama.cpp's verbosity: errors and warnings."""
_HTTP_THREADS = 64
"""More threads than concurrent requests: an idle connection keeps a thread for seconds.

32 short requests at once to a 135M model took 4 to 8 s with so many, 29 to 48 s with llama.cpp's default.
"""
_PROMPT_CACHE_MIB = 512
"""llama.cpp would keep up to 8 GiB of old prompts."""


class ModelParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a child, from the parent."""

    model: str
    """Path of a GGUF file."""
    alias: str
    """The model's name in replies, so that no path reaches a client."""
    api_key: str
    """Required by every path but ``/health``: other users of the machine can reach the port."""
    threads: int
    parallel: int
    """Requests at once."""
    context: int
    """Tokens per request."""

    def __repr__(self) -> str:
        return f"ModelParameters(model={self.model!r})"


class ChildAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Message of a child with a loaded model."""

    address: str
    """``http://127.0.0.1:PORT``"""


def main() -> None:
    """Serve until stdin ends. Exits with status 1 for a model that cannot be loaded; stderr ends with the reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent stops us
    die_with_parent()
    line = sys.stdin.buffer.readline()
    if not line:
        return
    announce = _own_stdout()
    parameters = msgspec.json.decode(line, type=ModelParameters)
    server = serve(parameters)
    announce.write(msgspec.json.encode(ChildAddress(address=server.listening_address)) + b"\n")
    sys.stdin.buffer.read()
    os._exit(0)  # without waiting for replies under way, which nobody reads any more


def die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent's thread that started us ends; the end of stdin covers other systems.

    Needed beside stdin because loading a model blocks the interpreter for seconds.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(parameters: ModelParameters) -> "xllamacpp.Server":  # type: ignore[name-defined]  # noqa: F821 - imported late
    """Load the model and serve it from threads on a free port of the loopback address."""
    import xllamacpp

    common = xllamacpp.CommonParams()
    common.model.path = parameters.model
    common.model_alias = {parameters.alias}
    common.hostnames = ["127.0.0.1"]
    common.port = 0
    common.api_keys = [parameters.api_key]
    common.n_parallel = parameters.parallel
    common.n_ctx = parameters.context * parameters.parallel
    common.cpuparams.n_threads = parameters.threads
    common.cpuparams_batch.n_threads = parameters.threads
    common.n_threads_http = _HTTP_THREADS
    common.n_gpu_layers = 0
    common.fit_params = False  # it would change what was asked for to fit a GPU
    common.cache_ram_mib = _PROMPT_CACHE_MIB
    common.ui = False
    common.endpoint_slots = False
    common.verbosity = _LOG_WARNINGS
    try:
        return xllamacpp.Server(common)
    except RuntimeError as error:
        why = f"{parameters.model} cannot be loaded: is it a whole GGUF file, and is there memory for it?"
        os.write(2, f"\n{why}\n".encode())  # one write: the threads of llama.cpp log to stderr, too
        raise SystemExit(1) from error


def _own_stdout() -> BinaryIO:
    """Return the real stdout, unbuffered; later writes of others to stdout land on stderr."""
    real = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return real


if __name__ == "__main__":
    main()
