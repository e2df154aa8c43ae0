"""Trials of the database and of the counters, with real servers where they are here."""

import asyncio

import pytest

from gateway.commands.servers import server_version, try_servers
from gateway.settings import Settings
from optimizer.demo.loopback import loopback_server
from tests.fakes import CONFIG, free_port, settings
from tests.valkey import valkey


def configured(*lines: str) -> Settings:
    return settings(CONFIG.replace("port = 0", "\n".join(["port = 0", *lines])))


async def tried(line: str, longest_s: float = 15.0) -> tuple[bool, str]:
    """The result of the only trial, and its words."""
    (result,) = await try_servers(configured(line), longest_s)
    return result.ok, result.detail


async def test_without_servers_nothing_is_tried() -> None:
    """SQLite is a file in the data folder, which has a trial of its own."""
    assert await try_servers(configured()) == []


async def test_the_database_is_tried(address: str) -> None:
    """It says its version and its tables."""
    ok, words = await tried(f'store = "{address}"')
    assert ok and words.startswith("Postgres ")


async def test_a_database_that_is_away_fails_the_trial() -> None:
    """In words, not by a traceback."""
    ok, words = await tried(f'store = "postgresql://me@127.0.0.1:{free_port()}/db"')
    assert not ok and "cannot be reached" in words


async def test_the_counters_are_tried() -> None:
    """They say their version, and run a script."""
    async with valkey() as (url, _):
        ok, words = await tried(f'counters = "{url}"')
    assert ok and words.startswith("Valkey ")


async def test_counters_that_are_away_fail_the_trial() -> None:
    """Requests would go on by ``counters_fail``; nobody wants to find that out in service."""
    ok, words = await tried(f'counters = "valkey://127.0.0.1:{free_port()}"')
    assert not ok and "cannot be reached" in words


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (b"-NOAUTH Authentication required.\r\n", "want a password: server.counters"),
        (b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "refuse the name or the password"),
        (b"$19\r\nredis_version:6.2.1\r\n:1\r\n", "the counters are Redis 6.2.1: 7 or newer is needed"),
        (b"$19\r\nredis_version:7.2.1\r\n-NOPERM no permission\r\n", "do not permit this user enough"),
        (b"", "no answer within"),
    ],
)
async def test_counters_that_cannot_be_used_say_why(answers: bytes, words: str) -> None:
    """A password that is missing or wrong, an old server, a user without rights, silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answers)
        await reader.read()

    async with loopback_server(serve) as url:
        ok, said = await tried(f'counters = "{url.replace("http", "valkey").removesuffix("/v1")}"', longest_s=2.0)
    assert not ok and words in said


def test_a_server_tells_its_own_version_and_not_the_one_it_imitates() -> None:
    """Valkey says a version of Redis, too."""
    assert server_version("redis_version:7.2.4\r\nvalkey_version:9.1.0\r\n") == ("Valkey", "9.1.0")
    assert server_version("redis_version:7.2.4\r\n") == ("Redis", "7.2.4")
    assert server_version("nothing") == ("Redis", "0")
