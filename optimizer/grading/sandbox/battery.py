"""The battery: programs that try to break out. Every sandbox must withstand all of them before its first use.

A program at its own end has reached its aim. Traces outside are looked for as well, so that a sandbox with a wrong
account of the outcome fails, too.
"""

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from optimizer.grading.sandbox.base import NOTE, NoSandbox, Sandbox, SandboxJob, SandboxLimits, SandboxRun

LIMITS = SandboxLimits(seconds=0.5, memory=128_000_000)
AT_ONCE = 4
"""Attempts under way at once: most of them wait for their end."""
PATIENCE_S = 30.0
"""Seconds after which a run without an end counts as unbounded."""
_SECRET = "a secret of the machine"  # noqa: S105  # planted, so that it may be looked for
_FUNCTION = "def double(number):\n    return 2 * number"


def weaknesses(sandbox: Sandbox) -> list[str]:
    """Return the weaknesses of a sandbox in a few words each; none for a safe sandbox. Raises ``NoSandbox``."""
    if sandbox.run(SandboxJob(code=_FUNCTION, tests=("assert double(2) == 4",)), LIMITS).outcome != "passed":
        return ["runs: a correct program does not pass"]
    weak = []
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as decoy,
    ):
        secret = Path(folder, "secret")
        secret.write_text(_SECRET, encoding="utf-8")
        jobs = list(attempts(secret, listener.getsockname()[1], decoy.pid))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(lambda job: _bounded(sandbox, job), [job for _, job in jobs]))
        for (aim, _), run in zip(jobs, runs, strict=True):
            if run is None or run.outcome == "passed" or len(run.note) > NOTE or _SECRET in run.note:
                weak.append(aim)
        if secret.read_text(encoding="utf-8") != _SECRET or [file.name for file in Path(folder).iterdir()] != [
            "secret"
        ]:
            weak.append("files: something was written")
        listener.setblocking(False)
        if _reached(listener):
            weak.append("network: something was reached")
        if decoy.poll() is not None:
            weak.append("parent: another process was ended")
        decoy.kill()
    return list(dict.fromkeys(weak))


def attempts(secret: Path, port: int, decoy: int) -> Iterator[tuple[str, SandboxJob]]:
    """Yield jobs that must not pass, each after its aim; hostile programs as code and as tests."""
    for code, test in _tampering():
        yield "verdict: the code reaches its tests", SandboxJob(code=code, tests=(test,))
    for aim, program in _programs(secret, port, decoy):
        yield aim, SandboxJob(code=program)
        yield aim, SandboxJob(code=_FUNCTION, tests=(program,))


def _tampering() -> Iterator[tuple[str, str]]:
    """Yield code that is wrong, and a test of it that must fail."""
    test = "assert double(2) == 4"
    yield "def double(number):\n    return 2 + number + 1", test
    for leave in ("import os\nos._exit(0)", "import sys\nsys.exit(0)", "raise SystemExit(0)"):
        yield leave, "pass"
    yield "import sys\nsys._getframe(1).f_locals['sources'][:] = []", test
    yield "import sys\nsys._getframe(1).f_locals['parts'][1:] = []", test
    yield "import builtins\nbuiltins.compile = lambda *given: 'pass'\nbuiltins.exec = print", test
    yield "class Any:\n    def __eq__(self, other):\n        return True\ndef double(number):\n    return Any()", test
    yield "def all(values):\n    return True\ndef double(number):\n    return 5", "assert all([double(2) == 4])"
    yield "class Five(int):\n    def __eq__(self, other):\n        return True\ndouble = Five", test
    yield _forged(), "pass"
    yield "import gc\n[held.clear() for held in gc.get_objects() if isinstance(held, list)]\ndouble = print", test


def _programs(secret: Path, port: int, decoy: int) -> Iterator[tuple[str, str]]:
    yield "verdict: a program fails and passes", "assert False"
    yield "state: one program sees another's names", "triple(1)"

    yield "files: one can be read", f"open({str(secret)!r}).read()"
    yield "files: one can be shown", f"raise ValueError(open({str(secret)!r}).read())"
    yield "files: one can be written", f"open({str(secret)!r}, 'w').write('x')"
    yield "files: one can be made", _made(secret.parent)
    yield "files: the system's users can be read", "open('/etc/passwd').read()"
    yield "environment: it can be read", "import os\nassert set(os.environ) - {'PWD', 'LC_CTYPE'}"
    yield "network: loopback can be reached", f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)"
    yield "network: a socket can be made", "import socket\nsocket.socket(socket.AF_UNIX)"
    yield "parent: another process can be ended", f"import os\nos.kill({decoy}, 9)"
    yield "parent: its memory can be read", "open('/proc/1/environ').read()"

    yield "processes: one can be made", "import os\nos.fork()"
    yield "processes: a command can be run", "import subprocess\nsubprocess.run(['true'])"
    yield "time: working for ever is possible", "while True:\n    pass"
    yield "time: waiting for ever is possible", "import time\nwhile True:\n    time.sleep(100)"
    yield "memory: more than the limit at once", f"text = 'a' * {2 * LIMITS.memory}"
    yield "memory: more than the limit bit by bit", "texts = []\nwhile True:\n    texts.append('a' * 1000000)"
    yield "output: printing for ever is possible", "while True:\n    print('x' * 100000)"
    yield "output: an error may be of any length", "raise ValueError('x' * 10000000)"


def _bounded(sandbox: Sandbox, job: SandboxJob) -> SandboxRun | None:
    """Return the end of a program; ``None`` if the sandbox lets it run on, or broke."""
    ended: list[SandboxRun] = []

    def work() -> None:
        with contextlib.suppress(NoSandbox):
            ended.append(sandbox.run(job, LIMITS))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return ended[0] if ended else None


def _reached(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _made(folder: Path) -> str:
    """Return a program that makes a file in any of the usual writable places."""
    places = [str(folder), "/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/proc/self/fd/.."]  # noqa: S108
    return (
        f"for place in {places!r}:\n"
        "    try:\n"
        "        open(place + '/made', 'w')\n"
        "        break\n"
        "    except OSError:\n"
        "        pass\n"
        "else:\n"
        "    raise OSError('nowhere')"
    )


def _forged() -> str:
    """Return a program that writes a forged verdict to every open file, and leaves."""
    return (
        "import os\n"
        "for number in range(3, 16):\n"
        "    try:\n"
        "        os.write(number, b'[null, true, \"\"]')\n"
        "    except OSError:\n"
        "        pass\n"
        "os._exit(0)"
    )
