"""The sandboxes of this machine, each tried by the battery once in a process, before its first use."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from gateway.domain import Value
from optimizer.grading.sandbox.base import NoSandbox, Sandbox
from optimizer.grading.sandbox.battery import weaknesses
from optimizer.grading.sandbox.bubblewrap import Bubblewrap
from optimizer.grading.sandbox.monty import Monty

Kind = Callable[[], Sandbox]

KINDS: tuple[Kind, ...] = (Monty, Bubblewrap)
"""Best first: the first is quick, the second knows all of Python."""
_one_at_a_time = threading.Lock()

log = logging.getLogger(__name__)


class ExaminedSandbox(Value, frozen=True):
    """The battery's result: a usable sandbox, or a complaint."""

    sandbox: Sandbox | None = None
    complaint: str = ""


def sandboxes(kinds: Sequence[Kind] = KINDS) -> Iterator[Sandbox]:
    """Yield the usable sandboxes, best first. Raises ``NoSandbox`` without any. The first use takes some seconds."""
    complaints: list[str] = []
    for kind in kinds:
        with _one_at_a_time:
            examined = _examined(kind)
        if examined.sandbox is not None:
            yield examined.sandbox
        else:
            complaints.append(examined.complaint)
    if len(complaints) == len(kinds):
        raise NoSandbox(f"there is no sandbox to run code in: {'; '.join(complaints)}")


@cache
def _examined(kind: Kind) -> ExaminedSandbox:
    try:
        sandbox = kind()
        weak = weaknesses(sandbox)
    except NoSandbox as error:
        log.info("sandbox not available: %s", error, extra={"action": "sandbox.missing"})
        return ExaminedSandbox(complaint=str(error))
    if weak:
        complaint = f"{sandbox.name} failed its self-check ({', '.join(weak)})"
        log.error("sandbox refused: %s", complaint, extra={"action": "sandbox.refused"})
        return ExaminedSandbox(complaint=complaint)
    log.info("sandbox %s passed its self-check", sandbox.name, extra={"action": "sandbox.passed"})
    return ExaminedSandbox(sandbox=sandbox)
