"""The optimizer's commands, one module per command or group of commands.

They share ``workbench``, ``arguments``, ``estimate``, ``progress``, ``outcomes`` and ``provenance``.
"""

import click

from optimizer.commands.capacity import capacity
from optimizer.commands.demo import demo
from optimizer.commands.discover import adopt, discover
from optimizer.commands.distill import distill
from optimizer.commands.export import export
from optimizer.commands.forget import forget
from optimizer.commands.imports import imports
from optimizer.commands.label import label
from optimizer.commands.measure import evaluate
from optimizer.commands.migrate import migrate
from optimizer.commands.optimize import optimize
from optimizer.commands.promises import promises
from optimizer.commands.rule_import import import_rules
from optimizer.commands.show import show
from optimizer.commands.verify import verify

tasks = click.Group("tasks", commands=[show, discover, adopt])
rules = click.Group("rules", commands=[import_rules])
"""They join the gateway's groups of the same names."""
COMMANDS = (
    distill,
    migrate,
    evaluate,
    capacity,
    verify,
    label,
    export,
    imports,
    forget,
    promises,
    optimize,
    demo,
    tasks,
    rules,
)
