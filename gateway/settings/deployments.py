"""Mistakes in the equal deployments of models: ``upstream`` or ``upstreams``, and the weights of the latter."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.settings.document import Mistakes


def note_deployments(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Note parts of a model without a fit, also in a document with other mistakes."""
    models, sections = document.get("models"), document.get("upstreams")
    for name, model in models.items() if isinstance(models, dict) else ():
        if isinstance(model, dict):
            for mistake in _mistakes(model, sections if isinstance(sections, dict) else {}):
                mistakes.note(f"models.{name}", mistake)


def _mistakes(model: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[str]:
    upstreams, weights = model.get("upstreams"), model.get("weights")
    if upstreams is None and "upstream" not in model:
        yield "name its 'upstream', or 'upstreams'"
    if weights is not None and upstreams is None:
        yield "'weights' are the shares of 'upstreams'"
    if not isinstance(upstreams, list):
        return
    if "upstream" in model:
        yield "has 'upstream' and 'upstreams': name one of the two"
    if not upstreams:
        yield "'upstreams' is empty"
    if isinstance(weights, list) and len(weights) != len(upstreams):
        yield f"has {len(upstreams)} 'upstreams' and {len(weights)} 'weights'"
    named = [name for name in upstreams if isinstance(name, str)]
    if len(set(named)) < len(named):
        yield "names an upstream twice"
    if len(set(_kinds(named, sections))) > 1:
        yield "its 'upstreams' are of different kinds"


def _kinds(names: Sequence[str], sections: Mapping[str, Any]) -> Iterator[str]:
    for name in names:
        section = sections.get(name)
        kind = section.get("kind") if isinstance(section, dict) else None
        if isinstance(kind, str):
            yield kind
