"""Secrets out of files: ``api_key = "file:/run/secrets/provider"``, as container platforms mount them.

Read whenever the configuration is read; a changed file is a reason to read it again. Only settings that hold a secret
may name a file; elsewhere ``file:`` is text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.settings.document import Mistakes

_PREFIX = "file:"
_LARGEST = 65_536
"""Bytes of a file with a secret."""


def with_secrets(value: Any, mistakes: Mistakes, files: list[Path], path: tuple[str, ...] = ()) -> Any:
    """Replace every ``file:PATH`` of a setting that holds a secret; an unreadable file is noted under its key.

    ``files`` gets the files.
    """
    if isinstance(value, dict):
        return {name: with_secrets(inner, mistakes, files, (*path, name)) for name, inner in value.items()}
    if not isinstance(value, str) or not value.startswith(_PREFIX) or not _holds_secret(path):
        return value
    file = Path(value.removeprefix(_PREFIX))
    files.append(file)
    return _secret(file, ".".join(path), mistakes)


def _holds_secret(path: Sequence[str]) -> bool:
    match path:
        case (
            ("server", "admin_key" | "store")
            | ("upstreams", _, "api_key")
            | ("upstreams", _, "headers", _)
            | ("keys", _, "key")
        ):
            return True
        case _:
            return False


def _secret(file: Path, key: str, mistakes: Mistakes) -> str:
    """Return the secret in a file without its last line break; "" with a note if there is none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
        secret = content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        mistakes.note(key, f"the file {file} cannot be read: {reason}")
        return ""
    if not secret or len(content) > _LARGEST:
        mistakes.note(key, f"the file {file} holds no secret: it is empty, or larger than {_LARGEST} bytes")
        return ""
    return secret
