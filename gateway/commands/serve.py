"""``preceptor serve``: run a gateway."""

import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path

import click

from gateway import logs
from gateway.commands.options import config_option
from gateway.http_server.listener import bind
from gateway.plugins import installed
from gateway.serving.configuration import reader
from gateway.serving.handover import inherit
from gateway.settings import config_path


@click.command(epilog="Example: preceptor serve -c preceptor.toml --port 8100")
@config_option
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of server.port.")
@click.option(
    "--take-over",
    is_flag=True,
    help="Take the port over from a running gateway, which then ends; no request is refused.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that serve, instead of server.workers.")
def serve(config: Path | None, take_over: bool, **options: str | int | None) -> None:
    """Run the gateway until Ctrl-C or SIGTERM."""
    given = {name: value for name, value in options.items() if value is not None}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is read soon anyway
    with contextlib.suppress(KeyboardInterrupt):  # a signal before anything serves
        _serve(config, given, take_over=take_over)


def _serve(config: Path | None, given: Mapping[str, str | int], *, take_over: bool) -> None:
    read = reader(config, given)
    settings = read()
    server = settings.server
    logs.configure(settings.log.level, settings.log.format)
    inherited = inherit(server.data_dir, server.port) if take_over else None
    listeners = inherited.listeners if inherited is not None else [bind(server.host, server.port)]
    address = "{}:{}".format(*listeners[0].getsockname()[:2])

    def ready() -> None:
        click.echo(f"preceptor serves http://{address}/v1 (stop with Ctrl-C)", err=True)
        if inherited is not None:
            inherited.serving()

    # The serving code is imported late: the other commands, and a supervisor, start faster and smaller.
    if server.workers > 1:
        from gateway.serving.supervisor import supervise

        supervise(settings, config, given, listeners, ready)
    else:
        from gateway.serving.server import serve as run

        run(settings, config_path(config), read, installed(), listeners, ready, offers=True)
