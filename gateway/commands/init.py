"""``preceptor init``: a first configuration, for the servers and keys at hand or from a LiteLLM proxy's."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from gateway.errors import PreceptorError
from gateway.settings import DEFAULT_FILE, ollama_address, set_variables
from gateway.settings.first_file import PROVIDERS, Surroundings, first_file

if TYPE_CHECKING:
    from gateway.litellm.conversion import Imported

_PATIENCE_S = 0.5
_MAX_BYTES = 10**6


class _OllamaModel(msgspec.Struct):
    name: str
    size: int = 0


class _OllamaTags(msgspec.Struct):
    models: list[_OllamaModel] = []


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
    """Write a commented preceptor.toml.

    Looks for a running Ollama and for providers' keys in the environment. Never overwrites a file.
    """
    moved = _imported(source) if source else None
    around = Surroundings() if moved else look_around()
    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(moved.text if moved else first_file(around))
    except FileExistsError:
        raise PreceptorError(f"{config} is there already: remove it first, or name another with -c") from None
    except OSError as error:
        raise PreceptorError(f"cannot write {config}: {error.strerror}") from error
    if around.ollama:
        click.echo(f"Ollama is running: {', '.join(around.ollama)}")
    for variable in around.variables:
        click.echo(f"{variable} is set: {PROVIDERS[variable].name} can teach")
    for line in moved.left_out if moved else ():
        click.echo(f"preceptor: not carried over: {line}", err=True)
    first = f"set {', '.join(moved.variables)}" if moved and moved.variables else "edit it"
    click.echo(f"wrote {config}: {first}, then run 'preceptor check --connect' and 'preceptor serve'")


def look_around() -> Surroundings:
    """Find a running Ollama's models and providers' keys."""
    address = ollama_address()
    return Surroundings(ollama=_ollama_models(address), ollama_address=address, variables=set_variables(PROVIDERS))


def _ollama_models(address: str) -> tuple[str, ...]:
    """Return the chat models of an Ollama, the smallest first; none if nothing answers."""
    try:
        with urllib.request.urlopen(f"{address}/api/tags", timeout=_PATIENCE_S) as response:  # noqa: S310  our own URL
            tags = msgspec.json.decode(response.read(_MAX_BYTES), type=_OllamaTags)
    except (OSError, urllib.error.URLError, http.client.HTTPException, msgspec.DecodeError):
        return ()
    chats = [model for model in tags.models if "embed" not in model.name]
    return tuple(model.name for model in sorted(chats, key=lambda model: (model.size, model.name)))


def _imported(source: Path) -> "Imported":
    """Convert a LiteLLM configuration to ours."""
    # Imported late: the other commands do not need YAML.
    from gateway.litellm.conversion import imported
    from gateway.litellm.source import read_source

    return imported(read_source(source), source.name)
