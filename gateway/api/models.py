"""``GET /v1/models``: every name for ``model`` in a request."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.gate import holder_of
from gateway.auth import Holder
from gateway.errors import ModelNotFound
from gateway.routing.classify import TASK_PREFIX
from gateway.services import Services
from gateway.settings import Settings

MODELS = "/v1/models/"
_EPOCH = "1970-01-01T00:00:00Z"
"""Nobody knows when a model was made."""


def listed(settings: Settings, holder: Holder | None = None) -> list[dict[str, Any]]:
    """Return model objects in OpenAI's shape: models, model names of tasks, and tasks by name.

    Names forbidden to the holder of the key are left out.
    """
    names: list[tuple[str, str | None]] = [(name, None) for name in settings.models]
    names += [(task.match.model, name) for name, task in settings.tasks.items() if task.match.model]
    names += [(TASK_PREFIX + name, name) for name in settings.tasks]
    usable = dict.fromkeys(name for name, task in names if holder is None or holder.may_use(task, name))
    return [{"id": name, "object": "model", "created": 0, "owned_by": "preceptor"} for name in usable]


def anthropic_shape(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model object in Anthropic's shape."""
    return {"type": "model", "id": model["id"], "display_name": model["id"], "created_at": _EPOCH}


@get("/v1/models")
async def list_models(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """List all models, in Anthropic's shape for a client of Anthropic's."""
    models = listed(services.settings, holder_of(request.scope))
    if not _is_anthropic(request):
        return {"object": "list", "data": models}
    data = [anthropic_shape(model) for model in models]
    ends = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": ends[0], "last_id": ends[1]}


def is_foreign(scope: Any, services: Services) -> bool:
    """Decide whether a path below ``MODELS`` is about a model of the default upstream: any name unknown here."""
    holder = holder_of(scope)
    if services.settings.server.default_upstream is None or (holder is not None and holder.limited):
        return False
    wanted = scope["path"].removeprefix(MODELS)
    return all(model["id"] != wanted for model in listed(services.settings))


def _is_anthropic(request: Request[Any, Any, Any]) -> bool:
    return "anthropic-version" in request.headers


@get("/v1/models/{name:path}")
async def get_model(
    request: Request[Any, Any, Any], services: NamedDependency[Services], name: FromPath[str]
) -> dict[str, Any]:
    """Return a model. Answers 404 for an unknown name."""
    wanted = name.removeprefix("/")
    for model in listed(services.settings, holder_of(request.scope)):
        if model["id"] == wanted:
            return anthropic_shape(model) if _is_anthropic(request) else model
    raise ModelNotFound(wanted)
