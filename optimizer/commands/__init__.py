"""The optimizer's commands, one module per command or group of commands.

They share ``workbench``, ``arguments``, ``estimate``, ``progress``, ``outcomes`` and ``provenance``.
"""

import click

from optimizer.commands.demo import demo
from optimizer.commands.discover import adopt, discover
from optimizer.commands.distill import distill
from optimizer.commands.export import export
from optimizer.commands.forget import forget
from optimizer.commands.label import label
from optimizer.commands.measure import evaluate
from optimizer.commands.migrate import migrate
from optimizer.commands.optimize import optimize
from optimizer.commands.promises import promises
from optimizer.commands.show import show
from optimizer.commands.verify import verify

tasks = click.Group("tasks", commands=[show, discover, adopt])
"""Joins the gateway's group of the same name."""
COMMANDS = (distill, migrate, evaluate, verify, label, export, forget, promises, optimize, demo, tasks)
