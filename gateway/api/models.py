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


def listed(settings: Settings, holder: Holder | None = None) -> list[dict[str, Any]]:
    """Return model objects in OpenAI's shape: models, model names of tasks, and tasks by name.

    Names forbidden to the holder of the key are left out.
    """
    names: list[tuple[str, str | None]] = [(name, None) for name in settings.models]
    names += [(task.match.model, name) for name, task in settings.tasks.items() if task.match.model]
    names += [(TASK_PREFIX + name, name) for name in settings.tasks]
    usable = dict.fromkeys(name for name, task in names if holder is None or holder.may_use(task, name))
    return [{"id": name, "object": "model", "created": 0, "owned_by": "preceptor"} for name in usable]


@get("/v1/models")
async def list_models(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """List all models."""
    return {"object": "list", "data": listed(services.settings, holder_of(request.scope))}


@get("/v1/models/{name:path}")
async def get_model(
    request: Request[Any, Any, Any], services: NamedDependency[Services], name: FromPath[str]
) -> dict[str, Any]:
    """Return a model. Answers 404 for an unknown name."""
    wanted = name.removeprefix("/")
    for model in listed(services.settings, holder_of(request.scope)):
        if model["id"] == wanted:
            return model
    raise ModelNotFound(wanted)
