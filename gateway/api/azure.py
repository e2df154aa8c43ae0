"""Azure's addresses: ``/openai/deployments/NAME/...`` and ``/openai/v1/...`` lead to the endpoints below ``/v1``.

A deployment's name is the request's model, whatever model the body names: so Azure reads it, too. Azure's SDK with
``base_url = ".../v1"`` asks for ``/v1/deployments/NAME/...``. Decided before the gate, by the raw path. The version of
Azure's API goes no further: an upstream's own stands in its ``base_url``.
"""

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from gateway.formats.envelope import decode_object, raw

DEPLOYMENT = "preceptor.deployment"
"""The key of a deployment's name in an ASGI scope."""
PREFIXES = ("/openai/", "/v1/deployments/")
_VERSION = re.compile(rb"(?:^|&)api-version=[^&]*")
_V1 = "/openai/v1/"
_DEPLOYMENTS = ("/openai/deployments/", "/v1/deployments/")


def place(scope: dict[str, Any]) -> None:
    """Rewrite the path of a scope below ``PREFIXES``; every other address of Azure's stays, and is unknown here."""
    path = scope["raw_path"].decode("latin-1")
    if path.startswith(_V1):
        _move(scope, "/v1/" + path.removeprefix(_V1))
        return
    for prefix in _DEPLOYMENTS:
        name, _, rest = path.removeprefix(prefix).partition("/")
        if path.startswith(prefix) and name and rest:
            scope[DEPLOYMENT] = unquote(name)
            _move(scope, "/v1/" + rest)
            return


def _move(scope: dict[str, Any], path: str) -> None:
    scope["path"], scope["raw_path"] = unquote(path), path.encode("latin-1")
    scope["query_string"] = _VERSION.sub(b"", scope.get("query_string", b"")).lstrip(b"&")


def with_model(body: bytes, model: str) -> bytes:
    """Return a request for a model. Raises ``BadRequest`` for a body that is no JSON object."""
    return msgspec.json.encode({**decode_object(body), "model": raw(model)})
