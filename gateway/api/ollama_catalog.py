"""``GET /api/tags``, ``/api/version``, ``/api/ps`` and ``POST /api/show``: the models, as Ollama's clients list them.

Sizes, families and formats are the upstreams' own knowledge and stay empty. Which models an upstream holds in memory
nobody here knows, so ``/api/ps`` lists none. Models are not pulled, copied or deleted through the gateway.
"""

import hashlib
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from gateway.api.gate import holder_of
from gateway.api.models import listed
from gateway.api.ollama import configured_name
from gateway.errors import ModelNotFound
from gateway.formats.envelope import decode_object, model_of
from gateway.services import Services
from gateway.upstream.quirk_memory import server_digest

API_VERSION: Final = "0.12.11"
"""The version of Ollama whose API is spoken here; clients look for what it can do."""
ARCHITECTURE: Final = "preceptor"
CAPABILITIES: Final = ("completion", "tools", "thinking")
_EPOCH: Final = "1970-01-01T00:00:00Z"
"""Nobody knows when a model was made."""
_DETAILS: Final = {
    "parent_model": "", "format": "", "family": ARCHITECTURE, "families": [ARCHITECTURE], "parameter_size": "",
    "quantization_level": "",
}  # fmt: skip


@get("/api/version")
async def native_version() -> dict[str, str]:
    """Return the version of the API."""
    return {"version": API_VERSION}


@get("/api/ps")
async def native_ps() -> dict[str, Any]:
    """List no model."""
    return {"models": []}


@get("/api/tags")
async def native_tags(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """List every name for ``model`` in a request of this client."""
    return {"models": [_model(model["id"]) for model in listed(services.settings, holder_of(request.scope))]}


@post("/api/show", status_code=200)
async def native_show(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Describe a model, named as ``model`` or as ``name``. Answers 404 for an unknown name."""
    fields = decode_object(await request.body())
    if "model" not in fields and "name" in fields:
        fields["model"] = fields["name"]
    given = model_of(fields)
    name = configured_name(given, services.settings)
    if all(model["id"] != name for model in listed(services.settings, holder_of(request.scope))):
        raise ModelNotFound(given)
    info: dict[str, Any] = {"general.architecture": ARCHITECTURE, "general.basename": name}
    context = context_of(name, services)
    if context is not None:
        info[f"{ARCHITECTURE}.context_length"] = context
    about = {"modelfile": "", "parameters": "", "template": "", "license": "", "details": _DETAILS}
    return Response({**about, "model_info": info, "capabilities": CAPABILITIES, "modified_at": _EPOCH})


def context_of(name: str, services: Services) -> int | None:
    """Return the length of a model's context, if it is stated or was learnt; a task's is that of its weak model."""
    settings = services.settings
    task = next((task for key, task in settings.tasks.items() if name in (f"task:{key}", task.match.model)), None)
    model = settings.models.get(task.weak if task is not None else name)
    if model is None:
        return None
    key = (server_digest(settings.upstreams[model.upstream]), model.model)
    return model.quirks.context or services.quirks.quirks(key).context


def _model(name: str) -> dict[str, Any]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {
        "name": name, "model": name, "modified_at": _EPOCH, "size": 0, "digest": digest, "details": _DETAILS,
    }  # fmt: skip
