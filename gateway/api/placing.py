"""The upstream of a request that passes through: that of a configured name as its model, else the default one.

A form, such as sound to transcribe or an image to edit, names its model in a field; the rest of it stays byte for byte.
"""

from collections.abc import Mapping
from typing import Any, cast

from litestar.types import HTTPScope

from gateway.api.azure import DEPLOYMENT, with_model
from gateway.api.http import header
from gateway.errors import BadRequest
from gateway.formats.envelope import decode_object, decoded
from gateway.formats.form_data import FieldSearch, boundary_of, with_field, with_value
from gateway.routing.classify import TASK_PREFIX
from gateway.services import Serving
from gateway.settings import Settings

_NAMING = (b"/v1/audio/", b"/v1/images/")
_MODEL = "model"


def form_in(scope: HTTPScope) -> FieldSearch | None:
    """Return a search for the model in the form of a request; ``None`` for another body, or a compressed one."""
    boundary = boundary_of(header(scope, b"content-type") or "")
    if boundary is None or header(scope, b"content-encoding") is not None:
        return None
    return FieldSearch(boundary, _MODEL)


def is_naming(path: bytes) -> bool:
    """Decide whether a large form is read up to its model. A file to be stored names none, and is never held."""
    return path.startswith(_NAMING)


def placed_form(scope: HTTPScope, body: bytes, form: FieldSearch, settings: Settings) -> tuple[str | None, bytes]:
    """Return the upstream for a form, and the form with that upstream's own name of the model.

    ``body`` is what was searched: the form, or its beginning. Without a model, or with another name, it is for the
    default upstream as it came; ``None`` without one. A deployment's name goes before the form's.
    """
    default = settings.server.default_upstream
    if default is None:
        return None, body
    deployment = cast("Mapping[str, Any]", scope).get(DEPLOYMENT)
    given = deployment if deployment is not None or form.field is None else form.field.value
    model = None if given is None else settings.models.get(_model_of(given, settings))
    name = model.model if model is not None else deployment
    if name is not None and form.field is not None:
        body = with_value(body, form.field, name)
    elif name is not None and form.done:
        body = with_field(body, form.boundary, _MODEL, name)
    return (default if model is None else model.upstream), body


def placed(scope: HTTPScope, body: bytes, settings: Settings) -> tuple[str | None, bytes]:
    """Return the upstream for a request, and its body with the upstream's own name of the model.

    A body in JSON may name a configured model or a task: an image, a count of tokens, a moderation. Any other body, and
    any other name, is for the default upstream as it came; ``None`` without one.
    """
    default = settings.server.default_upstream
    if default is None:
        return None, body
    deployment = cast("Mapping[str, Any]", scope).get(DEPLOYMENT)
    try:
        given = deployment if deployment is not None else decoded(decode_object(body)["model"])
        model = settings.models.get(_model_of(given, settings)) if isinstance(given, str) else None
    except (BadRequest, KeyError):
        return default, body
    if model is None:
        return default, body if deployment is None else with_model(body, deployment)
    return model.upstream, with_model(body, model.model)


def uploaded_to(scope: HTTPScope, serving: Serving) -> str | None:
    """Return the upstream for a body that nothing here reads: a deployment's, else the default one."""
    settings = serving.settings
    deployment = cast("Mapping[str, Any]", scope).get(DEPLOYMENT)
    model = None if deployment is None else settings.models.get(_model_of(deployment, settings))
    return settings.server.default_upstream if model is None else model.upstream


def _model_of(name: str, settings: Settings) -> str:
    """Return the name of a configured model: a task's answering one for the names of a task."""
    task = settings.tasks.get(name.removeprefix(TASK_PREFIX)) if name.startswith(TASK_PREFIX) else None
    task = task or next((task for task in settings.tasks.values() if task.match.model == name), None)
    if task is None:
        return name
    return task.strong if task.serve in ("strong", "shadow") else task.weak
