"""``preceptor models``: the files of embedded models."""

import sys

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from gateway.settings import models_dir
from gateway.upstream.model_files import CATALOG, is_here
from gateway.upstream.model_files import pull as fetch


@click.group()
def models() -> None:
    """List and fetch models for the embedded server."""


@models.command("list", epilog="Example: preceptor models list")
def list_() -> None:
    """List the models to pull; a star marks those already here."""
    for model in CATALOG.values():
        mark = "*" if is_here(model, models_dir()) else " "
        click.echo(f"{mark} {model.name:<22} {model.size / 1e6:>7,.0f} MB  {model.about}")
    click.echo('any other GGUF file works too: model = "/path/to/model.gguf"; so does Ollama: kind = "ollama"')


@models.command(epilog="Example: preceptor models pull qwen2.5-coder-1.5b")
@click.argument("name")
def pull(name: str) -> None:
    """Fetch a model into the user's cache.

    An interrupted download resumes. The file's hash is checked.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(name)
        path = fetch(name, models_dir(), progress=lambda done, total: progress.update(bar, completed=done, total=total))
    click.echo(path)
