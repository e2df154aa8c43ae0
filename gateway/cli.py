"""The command line ``preceptor``: every error becomes one line on stderr and an exit code.

Exit codes: 0, 1 (failed), 2 (wrong usage), 130 (interrupted).
"""

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from gateway import __version__
from gateway.commands.audit import audit
from gateway.commands.check import check
from gateway.commands.init import init
from gateway.commands.keys import keys
from gateway.commands.models import models
from gateway.commands.rules import rules
from gateway.commands.serve import serve
from gateway.commands.spend import spend
from gateway.commands.tasks import tasks
from gateway.errors import ConfigurationError, PreceptorError
from gateway.plugins import installed


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Completion in bash (zsh, fish alike): eval "$(_PRECEPTOR_COMPLETE=bash_source preceptor)"',
)
@click.version_option(__version__, prog_name="preceptor")
def preceptor() -> None:
    """An OpenAI-compatible gateway that teaches small models a team's workload."""


def command_line() -> click.Group:
    """Return the group of all commands, plugins' included."""
    for command in (serve, check, audit, init, models, keys, spend, tasks, rules):
        preceptor.add_command(command)
    for plugin in installed():
        for command in plugin.commands():
            known = preceptor.commands.get(command.name or "")
            if isinstance(known, click.Group) and isinstance(command, click.Group):
                known.commands.update(command.commands)
            else:
                preceptor.add_command(command)
    return preceptor


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit. SIGTERM and a closed terminal act like Ctrl-C: the command cleans up after itself."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, signal.default_int_handler)
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run a command and return the exit code."""
    try:
        code = command_line().main(arguments, prog_name="preceptor", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "preceptor"
        return _failed(f"{error.format_message()} (see '{where} --help')", 2)
    except click.ClickException as error:
        return _failed(error.format_message(), 1)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            _failed(f"{error.source}: {mistake}", 1)
        return 1
    except PreceptorError as error:
        return _failed(error.message, 1)
    except (KeyboardInterrupt, click.Abort):
        return _failed("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; the interpreter must not complain about it at exit.
        sys.stdout = None
        return 1
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int) -> int:
    click.echo(f"preceptor: {' '.join(message.split())}", err=True)
    return code
