"""The configuration: its sections, and the reader of the file."""

from gateway.settings.graders import ExactGrader, Grader, NumericGrader, RegexGrader
from gateway.settings.keys import Key
from gateway.settings.load import (
    DEFAULT_FILE,
    child_environment,
    config_path,
    load,
    models_dir,
    ollama_address,
    parse,
    set_variables,
)
from gateway.settings.models import Model, Price
from gateway.settings.quirks import Quirks
from gateway.settings.rollout import Audit, Rollout, Shadow
from gateway.settings.sections import Match, Optimizer, Settings, Task
from gateway.settings.server import Server
from gateway.settings.upstreams import (
    AnthropicSettings,
    LlamaCppSettings,
    OllamaSettings,
    OpenAISettings,
    UpstreamLimits,
    UpstreamSettings,
)

__all__ = [
    "DEFAULT_FILE",
    "AnthropicSettings",
    "Audit",
    "ExactGrader",
    "Grader",
    "Key",
    "LlamaCppSettings",
    "Match",
    "Model",
    "NumericGrader",
    "OllamaSettings",
    "OpenAISettings",
    "Optimizer",
    "Price",
    "Quirks",
    "RegexGrader",
    "Rollout",
    "Server",
    "Settings",
    "Shadow",
    "Task",
    "UpstreamLimits",
    "UpstreamSettings",
    "child_environment",
    "config_path",
    "load",
    "models_dir",
    "ollama_address",
    "parse",
    "set_variables",
]
