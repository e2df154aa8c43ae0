"""The configuration: frozen structs, and the only code that reads the environment.

Every field carries its unit and meaning in ``doc``; the reference in ``docs/configuration.md`` is generated from
them. ``load`` reads TOML, expands ``${VAR}``, and reports every mistake at once in one ``ConfigurationError``.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.document import Mistakes, check, convert, expanded, meant, texts
from gateway.errors import ConfigurationError

DEFAULT_FILE = "preceptor.toml"

Positive = Annotated[float, Meta(gt=0, le=10**9)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\Z")]


def doc(text: str) -> Meta:
    """The description of a setting, as it stands in the reference."""
    return Meta(description=text)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section of the configuration."""


class Server(Section, frozen=True):
    """Where the gateway listens and keeps its data."""

    host: Annotated[str, doc("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), doc("TCP port; 0 takes a free one.")] = 8100
    data_dir: Annotated[Path, doc("Folder for the database and the caches; made where it is missing.")] = Path("./data")
    default_upstream: Annotated[
        str | None, doc("Upstream to which unknown model names pass through untouched; none answers 404.")
    ] = None
    max_body_mb: Annotated[Positive, doc("Largest request body, in MB (10^6 bytes).")] = 20.0
    drain_s: Annotated[Positive, doc("Seconds that running requests get to finish when the gateway stops.")] = 10.0


class Upstream(Section, frozen=True):
    """A server that answers for models."""

    kind: Annotated[
        Literal["openai", "llamacpp"],
        doc("`openai`: any OpenAI-compatible server. `llamacpp`: the embedded one, a supervised child process."),
    ]
    base_url: Annotated[str | None, doc("Address up to and including `/v1` (kind `openai` only).")] = None
    api_key: Annotated[str | None, doc("Sent as a bearer token. Write `${VAR}`, not the key.")] = None
    connect_timeout_s: Annotated[Positive, doc("Seconds to open a connection.")] = 10.0
    first_byte_timeout_s: Annotated[
        Positive, doc("Seconds until the upstream's status line; covers the whole generation of an unstreamed reply.")
    ] = 300.0
    idle_timeout_s: Annotated[Positive, doc("Seconds between two pieces of an answer.")] = 120.0
    total_timeout_s: Annotated[Positive, doc("Seconds for a whole answer.")] = 900.0
    max_connections: Annotated[Count, doc("Connections held open to this upstream.")] = 512
    threads: Annotated[Count | None, doc("Threads for generation (kind `llamacpp`); default: all cores.")] = None
    parallel: Annotated[Count, doc("Requests that a model works on at once (kind `llamacpp`).")] = 2
    context: Annotated[Count, doc("Context of one request in tokens (kind `llamacpp`).")] = 4096

    def __repr__(self) -> str:
        return f"Upstream(kind={self.kind!r}, base_url={self.base_url!r})"


class Price(Section, frozen=True):
    """What a model costs."""

    input: Annotated[float, Meta(ge=0), doc("USD per million prompt tokens.")] = 0.0
    output: Annotated[float, Meta(ge=0), doc("USD per million output tokens.")] = 0.0


class Model(Section, frozen=True):
    """A name that clients and tasks may use as `model`."""

    upstream: Annotated[str, doc("Name of an upstream.")]
    model: Annotated[
        str, doc("The upstream's own name for it; for `llamacpp` a name from `preceptor models list` or a GGUF path.")
    ]
    price: Annotated[Price, doc("Optional, for reports.")] = Price()


class Match(Section, frozen=True):
    """How a request is recognised as belonging to a task; everything given must hold."""

    model: Annotated[str | None, doc("The model that the client asks for, literally.")] = None
    header: Annotated[Mapping[str, str], doc("Request headers and their values, literally.")] = {}
    system_prompt: Annotated[
        str | None, doc("Regular expression, searched for in the text of the system or developer message.")
    ] = None


class NumericGrader(Section, frozen=True, tag_field="kind", tag="numeric"):
    """Right if the reply states one number only and it equals the expected one."""

    tolerance: Annotated[float, Meta(ge=0), doc("Largest absolute difference that counts as equal.")] = 1e-6
    take: Annotated[
        Literal["only", "last"],
        doc(
            "`only`: a reply with several different numbers is wrong, because the caller cannot tell which one is"
            " meant. `last`: the last number counts."
        ),
    ] = "only"


class ExactGrader(Section, frozen=True, tag_field="kind", tag="exact"):
    """Right if the reply equals the expected text, surrounding white space aside."""

    ignore_case: Annotated[bool, doc("Compare without regard to case.")] = False


class RegexGrader(Section, frozen=True, tag_field="kind", tag="regex"):
    """Right if the expected regular expression is found in the reply, or if what `pattern` finds there is expected."""

    pattern: Annotated[
        str | None,
        doc(
            "Regular expression that extracts the answer from the reply (its first group, or all of it), which must"
            " then equal `expected`. Without it, `expected` itself is the expression that must be found."
        ),
    ] = None


Grader = NumericGrader | ExactGrader | RegexGrader


class Task(Section, frozen=True):
    """A kind of request and how it is served."""

    weak: Annotated[str, doc("Name of the model that serves the task and is taught.")]
    strong: Annotated[str, doc("Name of the model that explains mistakes and writes rules.")]
    match: Annotated[Match, doc("How requests are recognised; without it a client names the task.")] = Match()
    serve: Annotated[Literal["weak", "strong"], doc("Which of the two answers.")] = "weak"
    grader: Annotated[Grader, doc("How a reply is compared with the expected answer.")] = ExactGrader()


class Optimizer(Section, frozen=True):
    """When and how rules are learnt."""

    enabled: Annotated[bool, doc("Run cycles inside the gateway.")] = True
    schedule: Annotated[str, doc("Cron expression, five fields or six with seconds first.")] = "*/30 * * * *"
    activate: Annotated[
        Literal["auto", "manual"],
        doc("`auto`: a rule set that passed the gate goes live. `manual`: it waits for `preceptor rules activate`."),
    ] = "auto"
    min_mistakes: Annotated[Count, doc("New mistakes that a scheduled cycle waits for.")] = 5
    max_items: Annotated[Count, doc("Graded exchanges that one cycle looks at, newest first.")] = 600
    max_rules: Annotated[Count, doc("Rules in a rule set.")] = 8
    selection_items: Annotated[Count, doc("Items on which candidates are ranked.")] = 40
    confirmation_items: Annotated[
        Count, doc("Items on which the chosen candidate is tested against the incumbent.")
    ] = 250
    margin: Annotated[float, Meta(gt=0, lt=1), doc("Loss of accuracy (0..1) that still counts as non-inferior.")] = 0.05
    budget_calls: Annotated[Count, doc("Model calls that one cycle may pay for.")] = 5000
    budget_tokens: Annotated[Count, doc("Tokens (prompt and output, both models) that one cycle may pay for.")] = (
        5_000_000
    )
    concurrency: Annotated[Count, doc("Model calls under way at once.")] = 4
    max_output_tokens: Annotated[Count, doc("Output tokens that an evaluated reply may have.")] = 1024


class Settings(Section, frozen=True):
    """The whole configuration, cross-checked."""

    server: Server = Server()
    upstreams: dict[Name, Upstream] = {}
    models: dict[Name, Model] = {}
    tasks: dict[Name, Task] = {}
    optimizer: Optimizer = Optimizer()
    injection: bool = True
    """``PRECEPTOR_INJECTION=off`` turns every rule set off."""


def config_path(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: ``-c``, else ``PRECEPTOR_CONFIG``, else ``preceptor.toml``."""
    return given or Path(environment.get("PRECEPTOR_CONFIG") or DEFAULT_FILE)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and validate a configuration file.

    Raises ``ConfigurationError`` with every mistake in it, each with its key or line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["no such file: write one with 'preceptor init'"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    return parse(text, source=str(path), environment=environment)


def parse(text: str, *, source: str, environment: Mapping[str, str]) -> Settings:
    """Validate the text of a configuration; raises ``ConfigurationError`` with every mistake in it."""
    mistakes = Mistakes()
    try:
        found = expanded(tomllib.loads(text), environment, mistakes)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(source, [f"not TOML: {error}"]) from error
    if "injection" in found:
        mistakes.note("injection", "is switched by the environment variable PRECEPTOR_INJECTION, not here")
    check(found, Settings, mistakes)
    _cross_check(found, mistakes)
    if mistakes:
        raise ConfigurationError(source, mistakes.lines())
    settings: Settings = convert(found, Settings)
    return msgspec.structs.replace(settings, injection=environment.get("PRECEPTOR_INJECTION", "on").lower() != "off")


def _cross_check(found: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Names that point nowhere and values that do not fit together, whatever else is wrong in the document."""
    for path, value in texts(found):
        key = ".".join(path)
        match path:
            case ("server", "default_upstream") | ("models", _, "upstream"):
                _check_reference(key, value, "upstreams", found, mistakes)
            case ("tasks", _, "weak" | "strong"):
                _check_reference(key, value, "models", found, mistakes)
            case ("upstreams", _, "base_url") if not re.match(r"https?://[^/\s]+", value):
                mistakes.note(key, "must start with http:// or https:// and name a host")
            case ("tasks", _, "match", "system_prompt") | ("tasks", _, "grader", "pattern"):
                try:
                    re.compile(value)
                except (re.error, OverflowError, RecursionError) as error:
                    mistakes.note(key, f"not a regular expression: {error}")
            case ("upstreams", name, "kind") if value == "openai" and "base_url" not in found["upstreams"][name]:
                mistakes.note(f"upstreams.{name}.base_url", "is missing")


def _check_reference(key: str, name: str, section: str, found: Mapping[str, Any], mistakes: Mistakes) -> None:
    # A section that is itself mistaken is there all the same, so a reference to it is not one more mistake.
    declared = found.get(section)
    if not isinstance(declared, dict) or name not in declared:
        known = declared if isinstance(declared, dict) else ()
        mistakes.note(key, f"there is no [{section}.{name}]{meant(name, known)}")


EXAMPLE = """\
# Preceptor: an OpenAI-compatible gateway that teaches small models. Every setting: docs/configuration.md.
# Secrets stay in the environment: write "${NAME}".

[server]
host = "127.0.0.1"
port = 8100
data_dir = "./data"              # database, caches
# default_upstream = "provider"  # unknown model names pass through to it, untouched

[upstreams.local]                # the embedded server; fetch its model with: preceptor models pull qwen2.5-coder-1.5b
kind = "llamacpp"

# [upstreams.provider]           # any OpenAI-compatible server
# kind = "openai"
# base_url = "https://api.example.com/v1"
# api_key = "${PROVIDER_API_KEY}"

[models.small]                   # a name that clients may use as "model"
upstream = "local"
model = "qwen2.5-coder-1.5b"

# [models.large]
# upstream = "provider"
# model = "gpt-4.1"
# price = { input = 2.0, output = 8.0 }   # USD per million tokens

[tasks.arithmetic]
# any of: model, header = {name = value}, system_prompt = "regex"; all given must hold
match = { model = "gpt-4o-mini" }
weak = "small"                   # serves the task and is taught
strong = "small"                 # explains mistakes and writes rules: name a stronger model here
serve = "weak"
grader = { kind = "numeric" }    # numeric | exact | regex

[optimizer]
enabled = true
schedule = "*/30 * * * *"        # cron
activate = "auto"                # manual: verified rule sets wait for 'preceptor rules activate'
"""


def models_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where pulled models lie: ``PRECEPTOR_MODELS``, else ``preceptor/models`` in the user's cache folder."""
    given = environment.get("PRECEPTOR_MODELS")
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{cache}/preceptor/models").expanduser()
