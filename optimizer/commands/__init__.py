"""The optimizer's commands, one module per command or group of commands.

They share ``workbench``, ``arguments``, ``estimate``, ``progress``, ``outcomes`` and ``provenance``.
"""

from optimizer.commands.demo import demo
from optimizer.commands.discover import tasks
from optimizer.commands.distill import distill
from optimizer.commands.measure import evaluate
from optimizer.commands.migrate import migrate
from optimizer.commands.optimize import optimize
from optimizer.commands.verify import verify

COMMANDS = (distill, migrate, evaluate, verify, optimize, demo, tasks)
