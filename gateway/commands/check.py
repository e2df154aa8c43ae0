"""``preceptor check``: mistakes and cautions of a configuration; ``--connect`` tries its servers and models."""

import asyncio
from pathlib import Path

import click
import msgspec

from gateway.commands.data_folder import try_folder
from gateway.commands.options import config_option, json_option, print_json
from gateway.errors import ConfigurationError, PreceptorError
from gateway.serving.configuration import usable_settings
from gateway.settings import LlamaCppSettings, Settings, config_path, models_dir
from gateway.settings.cautions import cautions
from gateway.upstream.model_files import resolve


@click.command(epilog="Example: preceptor check --connect -c preceptor.toml")
@config_option
@json_option
@click.option("--connect", is_flag=True, help="Also call every model once, and try the database and the counters.")
def check(config: Path | None, as_json: bool, connect: bool) -> None:
    """Check the configuration and the data folder.

    Prints every mistake at once, and cautions about settings that you would regret. With --connect every model is
    called once, and the servers in server.store and server.counters are tried; nothing is changed there. Fails for
    mistakes and failed trials, not for cautions.
    """
    settings = usable_settings(config)
    source = str(config_path(config))
    missing = _missing_models(settings)
    if missing:
        raise ConfigurationError(source, missing)
    trials = [try_folder(settings.server.data_dir)]
    if connect:
        # Imported late: the trials need the whole gateway.
        from gateway.commands.connect import try_models
        from gateway.commands.servers import try_servers

        trials += asyncio.run(try_servers(settings))
        trials += asyncio.run(try_models(settings))
    careful, failed = cautions(settings), [trial for trial in trials if not trial.ok]
    if as_json:
        print_json({
            "source": source, "upstreams": len(settings.upstreams), "models": len(settings.models),
            "tasks": len(settings.tasks), "cautions": careful, "trials": msgspec.to_builtins(trials), "ok": not failed,
        })  # fmt: skip
    else:
        for trial in trials if connect else failed:
            seconds = f" in {trial.seconds:.2f} s" if trial.ok and trial.seconds else ""
            click.echo(f"{'ok  ' if trial.ok else 'FAIL'}  {trial.name}: {trial.detail}{seconds}", err=not trial.ok)
        for line in careful:
            click.echo(f"caution: {line}", err=True)
        counts = f"{len(settings.upstreams)} upstreams, {len(settings.models)} models, {len(settings.tasks)} tasks"
        if not failed:
            click.echo(f"{source}: {'no mistakes' if careful else 'fine'}; {counts}")
    if failed:
        raise click.exceptions.Exit(1)


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
