"""One process leads, and a dead one lets go."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.scheduling.leader import Leader

HOLD = """
import sys, time
from pathlib import Path
from optimizer.scheduling.leader import Leader
leader = Leader(Path(sys.argv[1]))
print(leader.claim(), flush=True)
time.sleep(600)
"""


def test_the_first_that_claims_leads_until_it_lets_go(tmp_path: Path) -> None:
    """A second one on the same data folder stands back and asks again."""
    first, second = Leader(tmp_path), Leader(tmp_path)
    assert not first.leads
    assert first.claim() and first.claim() and first.leads
    assert not second.claim() and not second.leads
    first.release()
    assert not first.leads and second.claim()
    first.release()
    assert second.leads and not first.claim()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    """By the kernel's hand, without a word of its own."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:  # noqa: S603
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        here = Leader(tmp_path)
        assert not here.claim()
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert here.claim()
        here.release()


def test_an_error_of_the_file_system_is_no_lead_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests go on, and so does the asking: when the folder is there again, so is the lead."""
    leader = Leader(tmp_path / "missing")
    with caplog.at_level(logging.WARNING):
        assert [leader.claim() for _ in range(3)] == [False] * 3
    assert len(caplog.records) == 1 and "cannot lead" in caplog.text and "missing" in caplog.text
    (tmp_path / "missing").mkdir()
    assert leader.claim()
    leader.release()


def test_a_lock_on_a_file_that_is_gone_is_no_lead(tmp_path: Path) -> None:
    """Whoever comes next makes a new file; both must then look at the same one."""
    first, second = Leader(tmp_path), Leader(tmp_path)
    assert first.claim()
    (tmp_path / "optimizer.lock").unlink()
    assert second.claim()
    assert not first.claim() and not first.leads
    second.release()
    assert first.claim()
    first.release()
