"""The filter of system calls, run line by line as the kernel does."""

import platform
import struct

import pytest

from optimizer.grading.sandbox.seccomp import ARCHITECTURES, filter_for

ALLOW, REFUSE, KILL = "allow", "refuse", "kill"
ANSWERS = {0x7FFF0000: ALLOW, 0x00050001: REFUSE, 0x80000000: KILL}
READ = {"x86_64": 0, "aarch64": 63}
EVERY_MACHINE = pytest.mark.parametrize("machine", sorted(ARCHITECTURES))


def answer(program: bytes, number: int, architecture: int) -> str:
    """What the filter says of a call: the few instructions that it is made of, interpreted."""
    lines = list(struct.iter_unpack("=HBBI", program))
    at, loaded = 0, 0
    while True:
        code, if_true, if_false, operand = lines[at]
        at += 1
        if code == 0x06:
            return ANSWERS[operand]
        if code == 0x20:
            loaded = {0: number, 4: architecture}[operand]
        else:
            holds = {0x15: loaded == operand, 0x35: loaded >= operand}[code]
            at += if_true if holds else if_false


@EVERY_MACHINE
def test_what_is_listed_is_refused_and_nothing_else(machine: str) -> None:
    """Reading, for one, goes on."""
    architecture, refused = ARCHITECTURES[machine]
    program = filter_for(machine)
    answers = {number: answer(program, number, architecture) for number in range(500)}
    assert {number for number, said in answers.items() if said == REFUSE} == set(refused.values())
    assert {said for number, said in answers.items() if number not in refused.values()} == {ALLOW}
    assert answers[READ[machine]] == ALLOW


@EVERY_MACHINE
def test_another_machine_s_calls_end_the_process(machine: str) -> None:
    """Their numbers mean something else; so do the second numbers of x86-64."""
    architecture, refused = ARCHITECTURES[machine]
    program = filter_for(machine)
    assert answer(program, refused["socket"], architecture ^ 1) == KILL
    assert answer(program, 0x40000000 + READ[machine], architecture) == KILL


@EVERY_MACHINE
def test_processes_sockets_and_memory_files_are_listed(machine: str) -> None:
    """And a machine that nobody has looked at has no filter."""
    _, refused = ARCHITECTURES[machine]
    assert {"clone", "clone3", "socket", "ptrace", "memfd_create", "io_uring_setup", "unshare"} <= set(refused)
    with pytest.raises(KeyError):
        filter_for("s390x")


def test_the_numbers_are_those_of_this_machine() -> None:
    """As its own headers have them, where they are installed."""
    folder = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}.get(platform.machine())
    try:
        with open(f"/usr/include/{folder}", encoding="utf-8") as header:  # noqa: PTH123  # a path of the system
            words = [line.split() for line in header if line.startswith("#define __NR")]
    except OSError:
        pytest.skip("the kernel's headers are not installed")
    numbers = {line[1].removeprefix("__NR").removeprefix("3264").lstrip("_"): line[2] for line in words}
    _, refused = ARCHITECTURES[platform.machine()]
    assert {name: numbers.get(name, str(number)) for name, number in refused.items()} == {
        name: str(number) for name, number in refused.items()
    }
