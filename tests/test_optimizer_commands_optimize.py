"""``preceptor optimize``, against a real server on loopback."""

import fcntl

from tests.learning import fill
from tests.shell import Shell


async def test_optimize_once_learns_from_recorded_traffic(shell: Shell) -> None:
    """The optimizer on its own, beside gateways that do not learn."""
    store = shell.store()
    fill(store, 150)
    code, _, _ = await shell("optimize", "--once")
    assert code == 0
    assert store.active()["arithmetic"].decided_by == "cycle"
    store.close()


async def test_optimize_once_beside_a_process_that_leads_says_so_and_fails(shell: Shell) -> None:
    """One line, exit code 1: what was asked for was not done, and nothing was."""
    store = shell.store()
    fill(store, 150)
    with (shell.folder / "optimizer.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, out, err = await shell("optimize", "--once")
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and "another process leads on" in err
    assert shell.asked == [] and store.cycles("arithmetic", limit=1) == []
    store.close()
