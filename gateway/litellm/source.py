"""A LiteLLM proxy's YAML as plain values, with included files merged in LiteLLM's way.

The file may come from anywhere, so the number of its values is bounded before any is built: a few lines of YAML aliases
can describe more values than fit into memory. Does not know the meaning of the settings.
"""

from pathlib import Path
from typing import Any

import yaml

from gateway.errors import ConfigurationError

MAX_BYTES = 2_000_000
MAX_VALUES = 200_000
"""Most keys and values of a file, counted after all aliases are expanded."""


def read_source(path: Path) -> dict[str, Any]:
    """Return the settings of a file and its included files. Raises ``ConfigurationError``."""
    settings = _read(path)
    included = settings.pop("include", None) or []
    names = [included] if isinstance(included, str) else included
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(str(path), ["include: must be the name of a file or a list of names"])
    for name in names:
        for key, value in _read(path.parent / name).items():
            known = settings.get(key)
            settings[key] = [*known, *value] if isinstance(known, list) and isinstance(value, list) else value
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except ValueError as error:  # an impossible file name
        raise ConfigurationError(ascii(str(path)), [f"cannot be read: {error}"]) from error
    if len(data) > MAX_BYTES:
        raise ConfigurationError(str(path), [f"is larger than {MAX_BYTES // 10**6} MB: is it a configuration?"])
    settings = parse_yaml(data, str(path))
    if settings is None:
        raise ConfigurationError(str(path), ["is empty"])
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise ConfigurationError(str(path), ["must be a mapping that begins with a key such as 'model_list:'"])
    return settings


def parse_yaml(data: bytes, source: str) -> Any:
    """Return a YAML document as plain values; ``None`` if it is empty. Raises ``ConfigurationError``."""
    loader = None
    try:
        # Decoded here: the loader's own decoding reports positions in bytes.
        loader = yaml.SafeLoader(data.decode("utf-8-sig"))
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MAX_VALUES:
            raise ConfigurationError(source, [f"its aliases unfold to more than {MAX_VALUES} values"])
        return loader.construct_document(node)
    except UnicodeError as error:
        raise ConfigurationError(source, ["is not UTF-8 text"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigurationError(source, [f"not YAML: {error.problem}{where}"]) from error
    except RecursionError as error:
        raise ConfigurationError(source, ["not YAML: nested too deep"]) from error
    except (yaml.YAMLError, ValueError) as error:  # such as a date with a 13th month
        raise ConfigurationError(source, [f"not YAML: {' '.join(str(error).split())}"]) from error
    finally:
        if loader is not None:
            loader.dispose()


def _values(node: yaml.Node, counted: dict[int, int]) -> int:
    """Return the number of keys and values in a node, aliases expanded. Raises ``YAMLError`` for a circular alias."""
    known = counted.get(id(node))
    if known is not None:
        if known == 0:
            raise yaml.YAMLError("an alias stands inside what it names")
        return known
    counted[id(node)] = 0
    match node:
        case yaml.MappingNode():
            parts = [part for pair in node.value for part in pair]
        case yaml.SequenceNode():
            parts = node.value
        case _:
            node.value.encode("utf-8")  # an escape can write half a character, which no file could hold
            parts = []
    counted[id(node)] = total = 1 + sum(_values(part, counted) for part in parts)
    return total
