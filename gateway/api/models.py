"""``GET /v1/models``: every name that a client may use as ``model``."""

from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.errors import ModelNotFound
from gateway.pipeline.classify import TASK_PREFIX
from gateway.services import Services
from gateway.settings import Settings


def listed(settings: Settings) -> list[dict[str, Any]]:
    """Model objects in OpenAI's shape: models, tasks by name, and the model names that tasks are recognised by."""
    recognised = (task.match.model for task in settings.tasks.values() if task.match.model)
    names = dict.fromkeys([*settings.models, *recognised, *(TASK_PREFIX + name for name in settings.tasks)])
    return [{"id": name, "object": "model", "created": 0, "owned_by": "preceptor"} for name in names]


@get("/v1/models")
async def list_models(services: NamedDependency[Services]) -> dict[str, Any]:
    """All models."""
    return {"object": "list", "data": listed(services.settings)}


@get("/v1/models/{name:path}")
async def get_model(services: NamedDependency[Services], name: FromPath[str]) -> dict[str, Any]:
    """One model. 404 if nothing has that name."""
    wanted = name.removeprefix("/")
    for model in listed(services.settings):
        if model["id"] == wanted:
            return model
    raise ModelNotFound(wanted)
