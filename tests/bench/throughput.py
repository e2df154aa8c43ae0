"""Requests per second and latency of the gateway on one core, beside nginx as a plain proxy and no proxy at all.

The gateway recognises a task, injects a rule set and records every exchange; the model server is an nginx that answers
with a fixed completion. Needs ``nginx``, ``wrk`` and ``taskset`` and two cores. How to read it: ``README.md``.
"""

import contextlib
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.domain import Activation, Rule, RuleSet
from gateway.store.sql import SqlStore

ROOT = Path(__file__).parents[2]
PROXY_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = (1, 16, 64)
RSS_LIMIT_MB = 150
RULES = ("Write out the working before the answer.", "Check the sum once more.", "Answer with the number only.")

REQUEST = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "Answer the question. Reply with only the final answer."},
        {"role": "user", "content": "A baker bakes 12 trays of 24 rolls and sells 200. How many are left?"},
    ],
    "temperature": 0,
}
COMPLETION = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "tiny",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "88"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 60, "completion_tokens": 2, "total_tokens": 62},
}  # fmt: skip

MODEL_SERVER = """
location / {{ default_type application/json; return 200 '{body}'; }}
"""
PROXY = """
location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; }}
"""
NGINX = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
  upstream model {{ server 127.0.0.1:{model_port}; keepalive 128; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""
GATEWAY = """
[server]
port = {port}
data_dir = "{folder}/data"
[upstreams.mock]
kind = "openai"
base_url = "http://127.0.0.1:{model_port}/v1"
[models.small]
upstream = "mock"
model = "tiny"
[tasks.arithmetic]
match = {{ model = "gpt-4o-mini" }}
weak = "small"
strong = "small"
[optimizer]
enabled = false
"""
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{body}]]
done = function(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
  print(string.format('RESULT {{"rps": %f, "p50": %f, "p99": %f, "failed": %d}}',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(core: str, *command: str) -> Iterator[int]:
    """A process on one core; yields its id."""
    pinned = ("taskset", "-c", core, *command)
    running = subprocess.Popen(pinned, cwd=ROOT, stderr=subprocess.DEVNULL)  # noqa: S603  # the commands stand below
    try:
        yield running.pid
    finally:
        running.terminate()
        running.wait(30)


@contextlib.contextmanager
def nginx(core: str, folder: Path, name: str, port: int, model_port: int, location: str) -> Iterator[None]:
    file = folder / f"{name}.conf"
    file.write_text(NGINX.format(folder=folder, name=name, port=port, model_port=model_port, location=location))
    log = str(folder / f"{name}.log")
    with process(core, "nginx", "-e", log, "-c", str(file)):
        wait_for(port, "/")
        yield


@contextlib.contextmanager
def gateway(folder: Path, port: int, model_port: int) -> Iterator[int]:
    """A gateway with a live rule set; yields its process id."""
    file = folder / "preceptor.toml"
    file.write_text(GATEWAY.format(folder=folder, port=port, model_port=model_port))
    store = SqlStore.open(folder / "data")
    rule_set = store.publish(RuleSet(task="arithmetic", rules=tuple(Rule(text=text) for text in RULES)))
    store.activate(Activation(task="arithmetic", version=rule_set.version, created=time.time(), by="benchmark"))
    store.close()
    with process(PROXY_CORE, sys.executable, "-m", "gateway", "serve", "-c", str(file)) as pid:
        wait_for(port, "/readyz")
        yield pid


def wait_for(port: int, path: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


def check_rules(port: int) -> None:
    """What is measured is a request that was recognised and taught, not an error that is answered fast."""
    request = urllib.request.Request(  # an address on loopback
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(REQUEST).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310  # the same
        assert reply.headers["x-preceptor-task"] == "arithmetic"
        assert reply.headers["x-preceptor-rules"] == "1"


def load(folder: Path, port: int, connections: int, seconds: int) -> dict[str, float]:
    """One run of wrk: requests per second, latencies in ms."""
    script = folder / "post.lua"
    script.write_text(LUA.format(body=json.dumps(REQUEST)))
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # as it stands here
    found = re.search(r"RESULT (.*)", said)
    assert found is not None, said
    result: dict[str, float] = json.loads(found[1])
    assert result["failed"] == 0, f"{result['failed']:.0f} requests failed"
    return result


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024 / 1e6


def dropped(port: int) -> int:
    """Exchanges that the gateway's queue was too short for."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return int(float(re.findall(r"^preceptor_writer_dropped (\S+)", reply.read().decode(), re.MULTILINE)[0]))


@click.command()
@click.option("--seconds", default=5, show_default=True, help="Length of one run.")
@click.option("--rounds", default=3, show_default=True, help="Runs per row; the median is shown.")
def main(seconds: int, rounds: int) -> None:
    """Measure and print a table in Markdown."""
    for tool in ("nginx", "wrk", "taskset"):
        if shutil.which(tool) is None:
            raise click.ClickException(f"{tool} is not installed: it is a Debian package (taskset is in util-linux)")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        ports = {"direct": free_port(), "nginx": free_port(), "preceptor": free_port()}
        model = ports["direct"]
        answer = MODEL_SERVER.format(body=json.dumps(COMPLETION))
        stack.enter_context(nginx(LOAD_CORE, folder, "model", model, model, answer))
        stack.enter_context(nginx(PROXY_CORE, folder, "proxy", ports["nginx"], model, PROXY.format()))
        pid = stack.enter_context(gateway(folder, ports["preceptor"], model))
        idle = rss_mb(pid)
        check_rules(ports["preceptor"])
        results: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for target, port in ports.items():
                    results.setdefault((target, connections), []).append(load(folder, port, connections, seconds))
        loaded, lost = rss_mb(pid), dropped(ports["preceptor"])
    report(results)
    click.echo(
        f"\nGateway's memory: {idle:.0f} MB idle, {loaded:.0f} MB after the load. Exchanges not recorded: {lost}."
    )
    if idle >= RSS_LIMIT_MB:
        raise click.ClickException(f"an idle gateway takes {idle:.0f} MB; {RSS_LIMIT_MB} are allowed")


def report(results: dict[tuple[str, int], list[dict[str, float]]]) -> None:
    click.echo(
        "| | connections | requests/s | median ms | p99 ms | requests/s, of nginx's |\n|---|---|---|---|---|---|"
    )
    median = {
        key: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for key, runs in results.items()
    }
    for (target, connections), row in sorted(median.items(), key=lambda item: item[0][1]):
        ratio = row["rps"] / median["nginx", connections]["rps"]
        click.echo(
            f"| {target} | {connections} | {row['rps']:,.0f} | {row['p50']:.2f} | {row['p99']:.2f} | {ratio:.1%} |"
        )


if __name__ == "__main__":
    main()
