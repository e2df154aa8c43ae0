"""The provenance of a report: command, versions, models, data, dates. No address and no key."""

import platform
import shlex
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway import __version__
from gateway.settings import Settings
from optimizer.commands.workbench import Done

Facts = tuple[tuple[str, str], ...]

_TESTS = (
    "the gate: exact McNemar on pairs, four looks with O'Brien-Fleming boundaries; against the strong model: Newcombe's"
    " paired 95% interval; each arm: Wilson's 95% interval"
)
_DIVISION = "by a hash of each question and no random number: the same examples fall into the same parts in every run"


def provenance(settings: Settings, task: str, done: Done[Any], *, command: Sequence[str], examples: str) -> Facts:
    """Return the facts in reading order."""
    section = settings.tasks[task]
    longest = f"at most {settings.optimizer.max_output_tokens:,} output tokens"
    return (
        ("Command", shlex.join(["preceptor", *command])),
        ("Date", f"{_utc(done.began)} to {_utc(done.ended)}"),
        ("Weak model", _model(settings, section.weak)),
        ("Strong model", _model(settings, section.strong)),
        ("Examples", examples),
        ("Grader", str(msgspec.to_builtins(section.grader)["kind"])),
        ("Tests", _TESTS),
        ("Division", _DIVISION),
        ("Requests", f"temperature 0 and {longest}, unless a request says otherwise"),
        ("Paid in this run", f"{done.ledger.calls:,} calls, {done.ledger.tokens:,} tokens; the rest was in the cache"),
        ("Preceptor", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
    )


def _model(settings: Settings, name: str) -> str:
    model = settings.models[name]
    price = model.price
    cost = f"${price.input:g} in and ${price.output:g} out per million tokens" if price.input or price.output else ""
    kind = settings.upstreams[model.upstream].kind
    return f"{name}: {model.model} ({kind})" + (f", {cost}" if cost else ", without a price")


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
