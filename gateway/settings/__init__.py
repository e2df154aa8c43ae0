"""The configuration: its sections, and how it is read."""

from gateway.settings.graders import ExactGrader, Grader, NumericGrader, RegexGrader
from gateway.settings.keys import Key
from gateway.settings.load import DEFAULT_FILE, config_path, example_file, load, models_dir, parse
from gateway.settings.rollout import Rollout, Shadow
from gateway.settings.sections import Match, Model, Optimizer, Price, Server, Settings, Task, Upstream

__all__ = [
    "DEFAULT_FILE",
    "ExactGrader",
    "Grader",
    "Key",
    "Match",
    "Model",
    "NumericGrader",
    "Optimizer",
    "Price",
    "RegexGrader",
    "Rollout",
    "Server",
    "Settings",
    "Shadow",
    "Task",
    "Upstream",
    "config_path",
    "example_file",
    "load",
    "models_dir",
    "parse",
]
