"""``preceptor optimize``, against a real server on loopback."""

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
