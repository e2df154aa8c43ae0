"""One run of load on one target, and what it showed: by wrk where it can, by our own ``client`` where it cannot."""

import json
import re
import sys
from pathlib import Path

import click
import msgspec

from tests.bench.gateway.client import Load
from tests.bench.gateway.process import cpu_s, output
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
  print(string.format('RESULT {{"rps": %f, "p50": %f, "p99": %f, "max": %f, "answered": %d, "failed": %d}}',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency.max / 1000, summary.requests, failed))
end
"""


def wrk(target: Target, request: Request, folder: Path, connections: int, seconds: float) -> Values:
    """Requests as fast as they are answered. Latencies in ms, memory in MB; ``cpu_us`` is the target's a request."""
    script, body = folder / "post.lua", folder / "body.json"
    body.write_bytes(request.body)
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items())
    script.write_text(LUA.format(headers=headers, body=body), encoding="utf-8")
    command = ("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_S}s")
    began = cpu_s(target.pid)
    said, rss = output(*command, "-s", str(script), request.url, watched=target.pid)
    found = re.search(r"RESULT (.*)", said)
    if found is None:
        raise click.ClickException(f"wrk says nothing of {target.name}: {said}")
    values: Values = json.loads(found[1])
    if not values["answered"]:  # then there are no latencies either
        values = {name: values[name] for name in ("rps", "answered", "failed")}
    return _with_costs(values, target, cpu_s(target.pid) - began, rss)


def client(
    target: Target, request: Request, connections: int, seconds: float, *, ramp_s: float = 0.0, again: bool = True
) -> Values:
    """Streams, or a burst where ``again`` is off: what ``client`` reports."""
    load = Load(
        url=request.url, headers=request.headers, body=request.body,
        connections=connections, seconds=seconds, ramp_s=ramp_s, again=again,
    )  # fmt: skip
    began = cpu_s(target.pid)
    command = (sys.executable, "-m", "tests.bench.gateway.client")
    said, rss = output(*command, given=msgspec.json.encode(load).decode(), watched=target.pid)
    values: Values = json.loads(said)
    return _with_costs(values, target, cpu_s(target.pid) - began, rss)


def _with_costs(values: Values, target: Target, cpu: float, rss: float) -> Values:
    values["rss_mb"] = rss
    for what, cost in (("answered", "cpu_us"), ("events", "event_cpu_us")):
        if values.get(what):
            values[cost] = cpu * 1e6 / values[what]
    return values
