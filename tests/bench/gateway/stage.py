"""Where the runs take place: model servers on one core, targets on the other, each found to work before it counts."""

import contextlib
import re
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from tests.bench.gateway import nginx
from tests.bench.gateway.cases import Scenario
from tests.bench.gateway.checkout import served
from tests.bench.gateway.peers import STARTS
from tests.bench.gateway.preceptor import VARIANTS, preceptor
from tests.bench.gateway.process import LOAD_CORE, free_port, process, wait_for
from tests.bench.gateway.rounds import DIRECT, Run, play
from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import Ground

Targets = Mapping[str, Target]


@contextlib.contextmanager
def model_servers(folder: Path, cache: Path) -> Iterator[tuple[Ground, Target]]:
    """nginx for what is answered at once, ``mock`` for the rest; and both as the target ``direct``."""
    ground = Ground(folder=folder, cache=cache, fixed_port=free_port(), live_port=free_port())
    log = folder / "mock.log"
    command = (sys.executable, "-m", "tests.bench.gateway.mock", str(ground.live_port))
    with nginx.model_server(LOAD_CORE, folder, ground.fixed_port) as pid, process(LOAD_CORE, *command, log=log) as mock:
        wait_for(f"http://127.0.0.1:{ground.live_port}/after-50/", mock, log)
        yield ground, Target(name=DIRECT, pid=pid, core=LOAD_CORE, base_url=ground.base_url)


@contextlib.contextmanager
def everybody(
    ground: Ground, peers: Sequence[str], workers: int = 1, checkouts: Sequence[Path] = ()
) -> Iterator[Targets]:
    """Our gateway with everything on, as it is, with several workers and as other checkouts have it; and its peers."""
    with contextlib.ExitStack() as stack:
        several = [preceptor(ground, f"preceptor, {workers} workers", workers=workers)] if workers > 1 else []
        older = [served(checkout, ground, ground.folder / checkout.name) for checkout in checkouts]
        starts = [preceptor(ground), *several, *older, *(STARTS[peer](ground) for peer in peers)]
        targets = [stack.enter_context(start) for start in starts]
        for target in targets:
            target.check()
        yield {target.name: target for target in targets}


@contextlib.contextmanager
def variants(ground: Ground) -> Iterator[Targets]:
    """Our gateway with its parts off, one after the other on."""
    with contextlib.ExitStack() as stack:
        starts = [preceptor(ground, name, variant) for name, variant in VARIANTS.items()]
        targets = [stack.enter_context(start) for start in starts]
        for target in targets:
            target.check(streams=False)
        yield {target.name: target for target in targets}


def played(
    scenario: Scenario, direct: Target, targets: Targets, ground: Ground, rounds: int, seconds: float
) -> list[Run]:
    """All runs of a scenario."""
    everyone = {DIRECT: direct, **targets}
    runs = []
    for run in play(
        scenario, list(targets), rounds,
        lambda case, name: scenario.measure(case, everyone[name], ground.folder, seconds),
    ):  # fmt: skip
        click.echo(f"round {run.round + 1}: {run.case}, {run.target}", err=True)
        runs.append(run)
    return runs


def dropped(target: Target) -> float:
    """Exchanges that our gateway's queue was too short for."""
    with urllib.request.urlopen(target.base_url("").replace("/v1", "/metrics"), timeout=10) as reply:  # noqa: S310
        found = re.search(r"^preceptor_writer_dropped(?:_total)? (\S+)", reply.read().decode(), re.MULTILINE)
    if found is None:
        raise click.ClickException("the gateway's metrics do not tell how many exchanges were dropped")
    return float(found[1])
