"""The first configuration of a newcomer: written for the servers and keys at hand. Pure.

A task is written out only if there is a strong model besides the weak one: a model rarely learns from itself.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Literal

from gateway.domain import Value

EMBEDDED = "qwen2.5-coder-1.5b"
OLLAMA = "http://127.0.0.1:11434"
"""Ollama's usual address."""


class KnownProvider(Value, frozen=True):
    """A provider with the variable of its key. Its models can teach."""

    name: str
    base_url: str
    model: str
    """A strong model of the provider, to begin with."""
    kind: Literal["openai", "anthropic"] = "openai"


PROVIDERS: Mapping[str, KnownProvider] = {
    "OPENAI_API_KEY": KnownProvider("openai", "https://api.openai.com/v1", "gpt-4.1"),
    "ANTHROPIC_API_KEY": KnownProvider("anthropic", "https://api.anthropic.com", "claude-sonnet-4-5", kind="anthropic"),
    "MISTRAL_API_KEY": KnownProvider("mistral", "https://api.mistral.ai/v1", "mistral-large-latest"),
    "DEEPSEEK_API_KEY": KnownProvider("deepseek", "https://api.deepseek.com/v1", "deepseek-chat"),
    "OPENROUTER_API_KEY": KnownProvider("openrouter", "https://openrouter.ai/api/v1", "openai/gpt-4.1"),
}
"""Providers by the environment variable of their key, the first in reach is used."""
_ANY = KnownProvider("any", "https://api.example.com/v1", "gpt-4.1")
_REMARKS = {"openai": "any OpenAI-compatible server", "anthropic": "Anthropic's own API"}


class Surroundings(Value, frozen=True):
    """The models in reach."""

    ollama: tuple[str, ...] = ()
    """Models of a running Ollama, the smallest first."""
    ollama_address: str = OLLAMA
    variables: tuple[str, ...] = ()
    """Variables of ``PROVIDERS`` with a value."""


def first_file(around: Surroundings = Surroundings()) -> str:  # noqa: B008  frozen
    """Return the text of a configuration."""
    template = resources.files("gateway.settings").joinpath("example.toml").read_text(encoding="utf-8")
    variable = next((name for name in PROVIDERS if name in around.variables), None)
    (upstream, model), large = _models(around.ollama, variable)
    small = _model("small", upstream, model, 'a name that clients may use as "model"')
    blocks = {
        "@upstreams@": _upstreams(around, variable),
        "@models@": f"{small}\n{large}",
        "@task@": _task(strong_in_reach=not large.startswith("#")),
    }
    for mark, text in blocks.items():
        template = template.replace(mark, text)
    return template


def _upstreams(around: Surroundings, variable: str | None) -> str:
    embedded = [
        f"[upstreams.local]                # the embedded server; fetch its model: preceptor models pull {EMBEDDED}",
        'kind = "llamacpp"',
    ]
    running = [
        "[upstreams.ollama]               # Ollama's own API",
        'kind = "ollama"',
        *([f'base_url = "{around.ollama_address}"'] if around.ollama_address != OLLAMA else []),
        "# options = { num_ctx = 8192 }",
    ]
    provider = PROVIDERS[variable] if variable else _ANY
    remote = [
        f"{'[upstreams.provider]':<32} # {_REMARKS[provider.kind]}",
        f'kind = "{provider.kind}"',
        f'base_url = "{provider.base_url}"',
        f'api_key = "${{{variable or "PROVIDER_API_KEY"}}}"',
    ]
    sections = [(not around.ollama, embedded), (variable is not None, remote), (bool(around.ollama), running)]
    return "\n".join("\n".join(lines if active else _commented(lines)) + "\n" for active, lines in sections)


def _models(ollama: Sequence[str], variable: str | None) -> tuple[tuple[str, str], str]:
    """Return upstream and name of the small model, and the section of the large one, a comment without any in reach."""
    small = ("ollama", ollama[0]) if ollama else ("local", EMBEDDED)
    price = "price = { input = 2.0, output = 8.0 }   # USD per million tokens: set yours"
    if variable is not None:
        return small, _model(
            "large", "provider", PROVIDERS[variable].model, "the teacher: check the name"
        ) + f"# {price}\n"
    if len(ollama) > 1:
        return small, _model("large", "ollama", ollama[-1], "the teacher: your largest model; a stronger one is better")
    lines = [*_model("large", "provider", "gpt-4.1", "the teacher").splitlines(), price]
    return small, "\n".join(_commented(lines)) + "\n"


def _model(name: str, upstream: str, model: str, remark: str) -> str:
    return f'{f"[models.{name}]":<32} # {remark}\nupstream = "{upstream}"\nmodel = "{model}"\n'


def _task(*, strong_in_reach: bool) -> str:
    lines = [
        "[tasks.arithmetic]",
        '# any of: model, header = {name = value}, system_prompt = "regex"; all given must hold',
        'match = { model = "gpt-4o-mini" }',
        'weak = "small"                   # serves the task and is taught',
        'strong = "large"                 # explains mistakes and writes rules: a stronger model than the weak one',
        'serve = "weak"',
        '# fallback = ["large"]           # asked in turn when that model cannot answer',
        'grader = { kind = "numeric" }    # exact | regex | json_schema | tool_call | python_tests | python | judge',
        "",
        "[tasks.arithmetic.rollout]       # how a rule set that passed the gate goes live",
        'policy = "canary"                # a growing share of the conversations | at_once | manual',
    ]
    if strong_in_reach:
        return "\n".join(lines) + "\n"
    return "\n".join(["# A task, once there is a strong model to teach it:", *_commented(lines)]) + "\n"


def _commented(lines: Sequence[str]) -> list[str]:
    return [line if not line or line.startswith("#") else f"# {line}" for line in lines]
