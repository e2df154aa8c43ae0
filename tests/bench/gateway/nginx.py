"""nginx twice: as the model server that answers at once, and as the plain proxy that everybody is compared with."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.bench.gateway.process import process, wait_for
from tests.bench.gateway.upstreams import COMPLETION, FIXED, Ground

CONFIG = """
daemon off; worker_processes 1; worker_rlimit_nofile 16384; pid {folder}/{name}.pid;
error_log {folder}/{name}.error.log;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; client_max_body_size 32m;
  client_body_buffer_size 1m; proxy_read_timeout 600;
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
  {upstreams}
  server {{ listen 127.0.0.1:{port} backlog=4096; {locations} }}
}}
"""
ANSWER = "location / {{ default_type application/json; return 200 '{completion}'; }}"
UPSTREAM = """
upstream {name} {{
  server 127.0.0.1:{port}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 600;
}}
"""
PROXY = """
location {path} {{ proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection ""; {buffering} }}
"""


@contextlib.contextmanager
def nginx(core: int, folder: Path, name: str, port: int, *, upstreams: str = "", locations: str) -> Iterator[int]:
    """nginx on one core; yields its process id."""
    file, log = folder / f"{name}.conf", folder / f"{name}.log"
    file.write_text(
        CONFIG.format(folder=folder, name=name, port=port, upstreams=upstreams, locations=locations), encoding="utf-8"
    )
    with process(core, "nginx", "-e", str(log), "-c", str(file), log=log) as pid:
        wait_for(f"http://127.0.0.1:{port}/{FIXED}/", pid, log)
        yield pid


def model_server(core: int, folder: Path, port: int) -> contextlib.AbstractContextManager[int]:
    """Answers every request at once with the same completion."""
    return nginx(core, folder, "model", port, locations=ANSWER.format(completion=COMPLETION))


def proxy(core: int, ground: Ground, port: int) -> contextlib.AbstractContextManager[int]:
    """A plain proxy, streams unbuffered."""
    upstreams = {"fixed": ground.fixed_port, "live": ground.live_port}
    return nginx(
        core, ground.folder, "proxy", port,
        upstreams=" ".join(UPSTREAM.format(name=name, port=at) for name, at in upstreams.items()),
        locations=PROXY.format(path=f"/{FIXED}/", name="fixed", buffering="")
        + PROXY.format(path="/", name="live", buffering="proxy_buffering off;"),
    )  # fmt: skip
