"""One run of load on one target, and what it showed: by wrk where it can, by our own ``client`` where it cannot."""

import json
import re
import sys
import time
from pathlib import Path

import click
import msgspec

from tests.bench.gateway.client import Load
from tests.bench.gateway.process import GATEWAY_CORE, core_user_s, cpu_s, output
from tests.bench.gateway.targets import Request, Target

TIMEOUT_S = 60
Values = dict[str, float]

LUA = """
wrk.method = "POST"
{headers}
wrk.body = io.open("{body}", "rb"):read("*a")
done = function(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
                 + summary.errors.timeout
  print(string.format('RESULT {{"rps": %f, "p50": %f, "p99": %f, "p999": %f, "max": %f, "answered": %d, "failed": %d}}',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency:percentile(99.9) / 1000, latency.max / 1000, summary.requests, failed))
end
"""

RAMP = """
local begun = 0
function delay()
  begun = begun + 1
  return begun > {connections} and 0 or math.random(0, {ramp})
end
"""
"""The first request of each connection at a moment of its own: sent at once, they stay a queue for the whole run."""


class Meter:
    """What a run cost the target, and what others did on its core meanwhile."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._began, self._core = time.monotonic(), core_user_s(GATEWAY_CORE)
        self._user, self._cpu = cpu_s(target.pid)

    def read(self, values: Values, rss: float) -> Values:
        """Memory, processor time by request and by event, and ``foreign``: the share of the core that others had.

        Only time in programs counts as foreign: the kernel books what it does for a target anywhere.
        """
        user, cpu = cpu_s(self._target.pid)
        own = user - self._user if self._target.core == GATEWAY_CORE else 0.0
        foreign = core_user_s(GATEWAY_CORE) - self._core - own
        costs = {"rss_mb": rss, "foreign": max(0.0, foreign / (time.monotonic() - self._began))}
        for what, cost in (("answered", "cpu_us"), ("events", "event_cpu_us")):
            if values.get(what):
                costs[cost] = (cpu - self._cpu) * 1e6 / values[what]
        return costs


def wrk(
    target: Target, request: Request, folder: Path, connections: int, seconds: float, *, pause_ms: float = 0.0,
    ramp_ms: float = 0.0,
) -> Values:  # fmt: skip
    """Requests as fast as they are answered, or with a pause before each that varies around ``pause_ms``.

    Connections begin within ``ramp_ms``. Latencies in ms, without the pause; memory in MB; ``cpu_us`` is the target's
    a request.
    """
    script, body = folder / "post.lua", folder / "body.json"
    body.write_bytes(request.body)
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items())
    before = ""
    if pause_ms:
        before = f"function delay() return math.random(0, {round(2 * pause_ms)}) end"
    elif ramp_ms:
        before = RAMP.format(connections=connections, ramp=round(ramp_ms))
    script.write_text(f"{LUA.format(headers=headers, body=body)}\n{before}\n", encoding="utf-8")
    command = ("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_S}s")
    meter = Meter(target)
    said, rss = output(*command, "-s", str(script), request.url, watched=target.pid)
    found = re.search(r"RESULT (.*)", said)
    if found is None:
        raise click.ClickException(f"wrk says nothing of {target.name}: {said}")
    values: Values = json.loads(found[1])
    if not values["answered"]:  # then there are no latencies either
        values = {name: values[name] for name in ("rps", "answered", "failed")}
    return values | meter.read(values, rss)


def client(
    target: Target, request: Request, connections: int, seconds: float, *, ramp_s: float = 0.0, again: bool = True
) -> Values:
    """Streams, or a burst where ``again`` is off: what ``client`` reports."""
    load = Load(
        url=request.url, headers=request.headers, body=request.body,
        connections=connections, seconds=seconds, ramp_s=ramp_s, again=again,
    )  # fmt: skip
    meter = Meter(target)
    command = (sys.executable, "-m", "tests.bench.gateway.client")
    said, rss = output(*command, given=msgspec.json.encode(load).decode(), watched=target.pid)
    values: Values = json.loads(said)
    return values | meter.read(values, rss)
