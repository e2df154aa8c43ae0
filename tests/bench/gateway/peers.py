"""Other gateways as targets: installed once, each into an environment of its own, at the version that stands here."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from tests.bench.gateway import nginx
from tests.bench.gateway.process import GATEWAY_CORE, free_port, process, wait_for
from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import MODELS, Ground

LITELLM: Final = "1.106.2"
PORTKEY: Final = "1.15.2"
PORTKEY_SERVER: Final = "1.14.1"
"""With a newer one, which it would get, all its streams fail with status 500 (Portkey-AI/gateway#1389)."""
VERSIONS: Final[Mapping[str, str]] = {"litellm": LITELLM, "portkey": PORTKEY}

LITELLM_ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR",  # as its own guide to production asks for
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # no prices from the network
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # nobody here checks keys, and all is on loopback
}  # fmt: skip


def install(peer: str, cache: Path) -> None:
    """Bring a peer into the cache unless it is there. Raises what to do where a tool is missing."""
    if peer == "litellm":
        folder = cache / f"litellm-{LITELLM}"
        pip = (f"{folder}/bin/python", "-m", "pip", "install", "--quiet", f"litellm[proxy]=={LITELLM}")
        _once(folder, (sys.executable, "-m", "venv", str(folder)), pip)
    elif peer == "portkey":
        _needed("npm", "node")
        folder = cache / f"portkey-{PORTKEY}"
        package = {
            "dependencies": {"@portkey-ai/gateway": PORTKEY},
            "overrides": {"@hono/node-server": PORTKEY_SERVER},
        }
        # Its build is in the package: scripts of a hundred packages need not run.
        npm = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
        _once(folder, npm, package=package)
    else:
        _needed("nginx")


def _needed(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            raise click.ClickException(f"{tool} is not installed: it is a Debian package (or leave it out of --peers)")


def _once(folder: Path, *commands: tuple[str, ...], package: Mapping[str, Any] | None = None) -> None:
    done = folder / ".installed"
    if done.exists():
        return
    click.echo(f"installing {folder.name} into {folder.parent}, once", err=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if package is not None:
        (folder / "package.json").write_text(json.dumps(package), encoding="utf-8")
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # they stand above
        except subprocess.CalledProcessError as error:
            raise click.ClickException(f"{folder.name} cannot be installed: {error.stderr[-1000:]}") from error
    done.touch()


@contextlib.contextmanager
def proxy(ground: Ground) -> Iterator[Target]:
    """nginx as a plain proxy."""
    port = free_port()
    with nginx.proxy(GATEWAY_CORE, ground, port) as pid:
        yield Target(name="nginx", pid=pid, base_url=lambda model: f"http://127.0.0.1:{port}/{model}/v1")


@contextlib.contextmanager
def litellm(ground: Ground) -> Iterator[Target]:
    """LiteLLM's proxy: one worker, no database, no keys."""
    port, log = free_port(), ground.folder / "litellm.log"
    models = [
        {"model_name": name,
         "litellm_params": {"model": "openai/tiny", "api_base": ground.base_url(name), "api_key": "none"}}
        for name in MODELS
    ]  # fmt: skip
    file = ground.folder / "litellm.yaml"
    file.write_text(json.dumps({"model_list": models}), encoding="utf-8")  # JSON is YAML
    program = ground.cache / f"litellm-{LITELLM}/bin/litellm"
    command = (str(program), "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    with process(GATEWAY_CORE, *command, log=log, environment=LITELLM_ENVIRONMENT) as pid:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", pid, log)
        yield Target(name="litellm", pid=pid, base_url=lambda model: f"http://127.0.0.1:{port}/v1")


@contextlib.contextmanager
def portkey(ground: Ground) -> Iterator[Target]:
    """Portkey's gateway: it is told the model server in every request."""
    port, log = free_port(), ground.folder / "portkey.log"
    program = ground.cache / f"portkey-{PORTKEY}/node_modules/@portkey-ai/gateway/build/start-server.js"
    command = ("node", str(program), f"--port={port}", "--headless")
    with process(GATEWAY_CORE, *command, log=log, environment={"NODE_ENV": "production"}) as pid:
        wait_for(f"http://127.0.0.1:{port}/", pid, log)
        yield Target(
            name="portkey", pid=pid, base_url=lambda model: f"http://127.0.0.1:{port}/v1",
            headers=lambda model: {
                "x-portkey-provider": "openai", "x-portkey-custom-host": ground.base_url(model),
                "authorization": "Bearer none",
            },
        )  # fmt: skip


STARTS: Final = {"nginx": proxy, "litellm": litellm, "portkey": portkey}
