"""Trials of the servers beside a gateway: its database and its counters. Nothing is changed there."""

import asyncio
import re
from typing import Final

from gateway.commands.connect import timed
from gateway.commands.data_folder import CheckResult
from gateway.errors import PreceptorError, StoreError
from gateway.quotas.resp import CountersAway, ValkeyConnection
from gateway.settings import Settings

LONGEST_S: Final = 15.0
OLDEST_COUNTERS: Final = 7
"""Oldest major version of Valkey or Redis whose scripts count as ours do."""
_ADVICE: Final = {
    "WRONGPASS": "refuse the name or the password in server.counters",
    "NOAUTH": "want a password: server.counters = 'valkey://:PASSWORD@host:6379/0'",
    "NOPERM": "do not permit this user enough: it needs the commands of scripts, hashes and strings",
}
"""Advice by the first word of a refusal."""


async def try_servers(settings: Settings, longest_s: float = LONGEST_S) -> list[CheckResult]:
    """Try the servers that the configuration names; without any, nothing."""
    trials = []
    store, counters = settings.server.store, settings.server.counters
    if store is not None:
        trials.append(timed("server.store", lambda: asyncio.to_thread(_database, store), longest_s))
    if counters is not None:
        trials.append(timed("server.counters", lambda: _counters(counters), longest_s))
    return list(await asyncio.gather(*trials))


def _database(address: str) -> str:
    try:
        from gateway.store.postgres_state import postgres_state
    except ImportError as error:
        raise StoreError(f"needs psycopg: pip install 'preceptor[postgres]' ({error})") from error
    return postgres_state(address)


async def _counters(url: str) -> str:
    """Return the version of the counters' server. Raises ``PreceptorError`` with advice."""
    connection = ValkeyConnection(url)
    try:
        await connection.connect()
        information = connection.send("INFO", "server")
        script = connection.send("EVAL", "return redis.call('TIME')[1]", 0)
        report, _ = await information, await script
    except CountersAway as error:
        raise PreceptorError(_words(error.message)) from error
    finally:
        await connection.aclose()
    name, version = server_version(report.decode("utf-8", "replace") if isinstance(report, bytes) else "")
    if int(version.partition(".")[0]) < OLDEST_COUNTERS:
        raise PreceptorError(f"the counters are {name} {version}: {OLDEST_COUNTERS} or newer is needed")
    return f"{name} {version}"


def server_version(report: str) -> tuple[str, str]:
    """Return the name and the version of a server from its own report; version 0 if it says none."""
    fields = dict(re.findall(r"^(\w+):(.*?)\r?$", report, flags=re.MULTILINE))
    if "valkey_version" in fields:
        return "Valkey", fields["valkey_version"]
    return "Redis", fields.get("redis_version", "0")


def _words(message: str) -> str:
    for refusal, advice in _ADVICE.items():
        if refusal in message:
            return f"the counters {advice}"
    return message
