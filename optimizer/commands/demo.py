"""``preceptor demo``: the whole loop on a local model, for people to watch."""

import asyncio
import tempfile
from pathlib import Path

import click

from gateway.commands.options import json_option, print_json
from gateway.errors import PreceptorError
from gateway.store.sql import SqlStore
from optimizer.commands.progress import Bars, say


@click.command(epilog="Example: preceptor demo --items 40")
@json_option
@click.option("--items", default=40, show_default=True, type=click.IntRange(20, 500), help="Problems to measure on.")
@click.option("--model", default="qwen2.5-coder-1.5b", show_default=True, help="Embedded model to run.")
def demo(as_json: bool, items: int, model: str) -> None:
    """Watch a small local model improve while it serves."""
    try:
        from optimizer.demo.play import play
        from optimizer.demo.report import as_json as object_of
        from optimizer.demo.report import as_text
    except ModuleNotFoundError as error:
        raise PreceptorError(f"the demo needs the package {error.name!r}: pip install 'preceptor[demo]'") from error
    from gateway.settings import models_dir
    from gateway.upstream.model_files import resolve

    resolve(model, models_dir())
    folder = Path(tempfile.mkdtemp(prefix="preceptor-demo-"))
    with Bars() as bars:
        played = asyncio.run(play(folder, model, items, lambda: SqlStore.open(folder), say, bars))
    click.echo(as_text(played), err=as_json)
    if as_json:
        print_json(object_of(played))
