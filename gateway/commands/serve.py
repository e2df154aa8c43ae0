"""``preceptor serve``, ``check`` and ``init``: write a configuration, check it, run a gateway on it."""

import contextlib
import functools
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway import logs
from gateway.commands.options import config_option
from gateway.errors import ConfigurationError, PreceptorError
from gateway.http_server.listener import bind
from gateway.plugins import installed
from gateway.serving.configuration import reader, usable_settings
from gateway.settings import DEFAULT_FILE, LlamaCppSettings, Settings, config_path, example_file, models_dir
from gateway.upstream.model_files import resolve

if TYPE_CHECKING:
    from gateway.litellm.conversion import Imported


@click.command(epilog="Example: preceptor serve -c preceptor.toml --port 8100")
@config_option
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of server.port.")
@click.option("--workers", type=click.IntRange(1), help="Processes that serve, instead of server.workers.")
def serve(config: Path | None, **options: str | int | None) -> None:
    """Run the gateway until Ctrl-C or SIGTERM."""
    given = {name: value for name, value in options.items() if value is not None}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is read soon anyway
    with contextlib.suppress(KeyboardInterrupt):  # a signal before anything serves
        _serve(config, given)


def _serve(config: Path | None, given: Mapping[str, str | int]) -> None:
    read = reader(config, given)
    settings = read()
    server = settings.server
    logs.configure()
    listener = bind(server.host, server.port)
    address = "{}:{}".format(*listener.getsockname()[:2])
    ready = functools.partial(click.echo, f"preceptor serves http://{address}/v1 (stop with Ctrl-C)", err=True)
    # The serving code is imported late: the other commands, and a supervisor, start faster and smaller.
    if server.workers > 1:
        from gateway.serving.supervisor import supervise

        supervise(settings, config, given, listener, ready)
    else:
        from gateway.serving.server import serve as run

        run(settings, config_path(config), read, installed(), listener, ready)


@click.command(epilog="Example: preceptor check -c preceptor.toml")
@config_option
def check(config: Path | None) -> None:
    """Validate the configuration and print every mistake at once."""
    settings = usable_settings(config)
    missing = _missing_models(settings)
    if missing:
        raise ConfigurationError(str(config_path(config)), missing)
    click.echo(
        f"{config_path(config)}: fine; {len(settings.upstreams)} upstreams, {len(settings.models)} models,"
        f" {len(settings.tasks)} tasks"
    )


def _missing_models(settings: Settings) -> list[str]:
    """Return a line for every embedded model without a usable file."""
    from gateway.app import llamacpp_models

    lines = []
    for name, upstream in settings.upstreams.items():
        if isinstance(upstream, LlamaCppSettings):
            for model in sorted(llamacpp_models(name, settings)):
                try:
                    resolve(model, models_dir())
                except PreceptorError as error:
                    lines.append(f"upstreams.{name}: {error}")
    return lines


@click.command(epilog="Example: preceptor init --from-litellm config.yaml")
@click.option(
    "-c", "--config", type=click.Path(dir_okay=False, path_type=Path), default=Path(DEFAULT_FILE),
    show_default=True, help="File to write.",
)  # fmt: skip
@click.option(
    "--from-litellm", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin with the models of a LiteLLM proxy's YAML.",
)  # fmt: skip
def init(config: Path, source: Path | None) -> None:
    """Write a commented preceptor.toml. Never overwrites a file."""
    moved = _imported(source) if source else None
    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(moved.text if moved else example_file())
    except FileExistsError:
        raise PreceptorError(f"{config} is there already: remove it first, or name another with -c") from None
    except OSError as error:
        raise PreceptorError(f"cannot write {config}: {error.strerror}") from error
    for line in moved.left_out if moved else ():
        click.echo(f"preceptor: not carried over: {line}", err=True)
    first = f"set {', '.join(moved.variables)}" if moved and moved.variables else "edit it"
    click.echo(f"wrote {config}: {first}, then run 'preceptor check' and 'preceptor serve'")


def _imported(source: Path) -> "Imported":
    """Convert a LiteLLM configuration to ours."""
    # Imported late: the other commands do not need YAML.
    from gateway.litellm.conversion import imported
    from gateway.litellm.source import read_source

    return imported(read_source(source), source.name)
