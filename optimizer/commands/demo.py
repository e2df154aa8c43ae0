"""``preceptor demo``: the whole loop on local models, or with ``--quick`` on scripted ones."""

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import json_option, print_json
from gateway.errors import PreceptorError
from gateway.store.sql import SqlStore
from optimizer.commands.progress import Bars, say

if TYPE_CHECKING:
    from optimizer.demo.play import Played

_WEAK, _STRONG = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"


@click.command(epilog="Example: preceptor demo --quick")
@json_option
@click.option("--quick", is_flag=True, help="Scripts play both models: no download, under a minute.")
@click.option("--items", default=40, show_default=True, type=click.IntRange(20, 500), help="Problems to measure on.")
@click.option("--weak", default=_WEAK, show_default=True, help="Embedded model that serves.")
@click.option("--strong", default=_STRONG, show_default=True, help="Embedded model that teaches.")
@click.option("--model", help="One embedded model in both roles, on word problems instead of phrases.")
def demo(as_json: bool, quick: bool, items: int, weak: str, strong: str, model: str | None) -> None:
    """Watch a small local model improve while it serves.

    It learns how a house writes prices, dates, times and goods, from corrections. With --quick the loop runs on
    scripted models: it shows the product, not a model.
    """
    from optimizer.demo.report import as_json as object_of
    from optimizer.demo.report import as_text

    folder = Path(tempfile.mkdtemp(prefix="preceptor-demo-"))
    played = _quick(folder) if quick else _on_models(folder, items, weak, strong, model)
    click.echo(as_text(played), err=as_json)
    if as_json:
        print_json(object_of(played))


def _quick(folder: Path) -> "Played":
    from optimizer.demo.play import play
    from optimizer.demo.scenarios import scripted_tickets
    from optimizer.demo.scripted_server import scripted_server
    from optimizer.demo.tickets import strong_reply, weak_reply

    async def scripted() -> "Played":
        scripts = {"scripted-weak": weak_reply, "scripted-strong": strong_reply}
        async with scripted_server(scripts) as address:
            say("scripts play both models; everything between them is the product")
            return await play(folder, scripted_tickets(folder, address), lambda: SqlStore.open(folder), say, bars)

    with Bars() as bars:
        return asyncio.run(scripted())


def _on_models(folder: Path, items: int, weak: str, strong: str, alone: str | None) -> "Played":
    try:
        import openai  # noqa: F401  the demo's clients are its users
    except ModuleNotFoundError as error:
        raise PreceptorError(
            f"the demo needs the package {error.name!r}: pip install 'preceptor[demo]', or see preceptor demo --quick"
        ) from error
    from gateway.settings import models_dir
    from gateway.upstream.model_files import resolve
    from optimizer.demo.play import play
    from optimizer.demo.scenarios import spoken_phrases, word_problems

    for model in (weak, strong) if alone is None else (alone,):
        resolve(model, models_dir())
    scenario = word_problems(folder, alone, items) if alone else spoken_phrases(folder, weak, strong, items)
    with Bars() as bars:
        return asyncio.run(play(folder, scenario, lambda: SqlStore.open(folder), say, bars))
