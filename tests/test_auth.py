"""Who asks, by the key in a request's headers, and what a key allows."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import Holder, Keyring, key_in, new_key
from gateway.errors import Forbidden, Unauthorized
from gateway.http_server.request_head import by_name
from gateway.settings import Key
from gateway.settings.keys import Role, digest

TEAM, OTHER = "prec-" + "a" * 64, "prec-" + "b" * 64
KEYS = Keyring({"team": Key(key=TEAM), "other": Key(key=OTHER, tasks=("sums",))})


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", b"Bearer " + key.encode())]


def test_a_key_tells_whose_it_is() -> None:
    """Each key its own section."""
    assert [KEYS.holder(by_name(bearer(key))).name for key in (TEAM, OTHER)] == ["team", "other"]


@pytest.mark.parametrize(
    "headers",
    [[(b"authorization", b"bearer   " + TEAM.encode() + b" ")], [(b"x-api-key", TEAM.encode())],
     [(b"api-key", TEAM.encode())], [(b"authorization", b"Basic eDp5"), (b"api-key", TEAM.encode())],
     [(b"x-api-key", TEAM.encode()), (b"api-key", b"wrong")]],
)  # fmt: skip
def test_a_key_is_found_where_clients_show_it(headers: list[tuple[bytes, bytes]]) -> None:
    """OpenAI's as a bearer token, Anthropic's as x-api-key, Azure's as api-key; in this order."""
    assert KEYS.holder(by_name(headers)).name == "team"


@pytest.mark.parametrize(
    "headers",
    [[], [(b"authorization", b"")], bearer(""), bearer(TEAM[:-1]), bearer(TEAM + "a"), bearer(TEAM.upper()),
     [(b"authorization", TEAM.encode())], [(b"authorization", b"Basic " + TEAM.encode())], [(b"x-api-key", b"")],
     [(b"x-api-key", b"\xff\x00")], [*bearer("wrong"), (b"x-api-key", TEAM.encode())],
     [*bearer("wrong"), *bearer(TEAM)]],
)  # fmt: skip
def test_nothing_else_passes(headers: list[tuple[bytes, bytes]]) -> None:
    """No key, part of a key, a key in another case or another place; a wrong key is not made good by a second one."""
    with pytest.raises(Unauthorized) as caught:
        KEYS.holder(by_name(headers))
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.headers == {"www-authenticate": "Bearer"}


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"api-key", b"host"]), st.binary())))
def test_no_header_is_too_odd(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever the bytes: they are a key or they are none."""
    key_in(by_name(headers))
    with pytest.raises(Unauthorized):
        KEYS.holder(by_name(headers))


def test_a_hash_is_no_key() -> None:
    """Whoever reads the configuration cannot ask."""
    section = Key(key=TEAM)
    assert section.hash is not None
    for shown in (section.hash, section.hash.removeprefix("sha256:")):
        with pytest.raises(Unauthorized):
            KEYS.holder(by_name(bearer(shown)))


def test_without_keys_nobody_is_asked() -> None:
    """An empty ring is false."""
    assert KEYS and not Keyring({})


@pytest.mark.parametrize(
    ("tasks", "models", "allowed"),
    [(None, None, [("sums", "gpt"), ("words", "gpt"), (None, "gpt"), (None, "small")]),
     (("sums",), None, [("sums", "gpt")]), (None, ("small",), [(None, "small")]),
     (("sums",), ("small",), [("sums", "gpt"), (None, "small")]), ((), (), []), ((), None, [])],
)  # fmt: skip
def test_a_limited_key_may_use_what_its_lists_name(
    tasks: tuple[str, ...] | None, models: tuple[str, ...] | None, allowed: list[tuple[str | None, str]]
) -> None:
    """Tasks for what belongs to one, models for what belongs to none; a list that is missing beside another allows
    nothing. A model's name does not open a task, whose models are others."""
    holder = Keyring({"team": Key(key=TEAM, tasks=tasks, models=models)}).holder(by_name(bearer(TEAM)))
    asked = [("sums", "gpt"), ("words", "gpt"), (None, "gpt"), (None, "small"), ("words", "small")]
    allowed = [*allowed, ("words", "small")] if tasks is None and models is None else allowed
    assert [(task, model) for task, model in asked if holder.may_use(task, model)] == allowed
    for task, model in set(asked) - set(allowed):
        with pytest.raises(Forbidden) as caught:
            holder.check(task, model)
        assert (caught.value.status, caught.value.code) == (403, f"{'model' if task is None else 'task'}_not_allowed")


def test_a_repr_is_a_name() -> None:
    """No digest in a log."""
    assert repr(Holder(name="team", digest=b"x" * 32)) == "Holder(name='team')"


def test_a_new_key_holds_all_of_its_randomness() -> None:
    """In characters that no shell, URL or header changes, and with a beginning of its own."""
    assert new_key(bytes(range(32))) == "prec-" + bytes(range(32)).hex()


ROLES: tuple[Role, ...] = ("use", "read", "approve", "admin")
DAY = dt.date(2027, 1, 31)
DAY_ENDS = dt.datetime(2027, 2, 1, tzinfo=dt.UTC).timestamp()


def at(now: float, **fields: Any) -> Keyring:
    return Keyring({"team": Key(key=TEAM, **fields)}, clock=lambda: now)


def test_a_key_is_right_until_the_end_of_its_last_day() -> None:
    """In UTC; from then on the refusal says why."""
    assert at(DAY_ENDS - 1, expires=DAY).holder(by_name(bearer(TEAM))).name == "team"
    with pytest.raises(Unauthorized) as caught:
        at(DAY_ENDS, expires=DAY).holder(by_name(bearer(TEAM)))
    assert (caught.value.status, caught.value.code) == (401, "expired_api_key")


@pytest.mark.parametrize(("now", "right"), [(DAY_ENDS - 1, True), (DAY_ENDS, False)])
def test_two_secrets_are_right_during_a_rotation(now: float, right: bool) -> None:
    """Both are the same key; the old one ends by itself."""
    keys = at(now, old_hash=digest(OTHER), old_until=DAY)
    assert keys.holder(by_name(bearer(TEAM))).name == "team"
    if right:
        assert keys.holder(by_name(bearer(OTHER))).name == "team"
    else:
        with pytest.raises(Unauthorized):
            keys.holder(by_name(bearer(OTHER)))


def test_a_ring_of_revoked_keys_is_still_closed() -> None:
    """Or the revocation of the last key would open the gateway."""
    section = Key(key=TEAM)
    keys = Keyring({"team": section}, [section.sha256])
    assert keys
    with pytest.raises(Unauthorized):
        keys.holder(by_name(bearer(TEAM)))


def test_a_role_holds_the_roles_below_it() -> None:
    """From use to admin."""
    holder = at(0, role="approve").holder(by_name(bearer(TEAM)))
    assert [holder.is_at_least(role) for role in ROLES] == [True, True, True, False]
