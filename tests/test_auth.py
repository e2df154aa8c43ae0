"""Who asks, by the key in a request's headers, and what a key allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import Holder, Keyring, key_in, new_key
from gateway.errors import Forbidden, Unauthorized
from gateway.settings import Key

TEAM, OTHER = "prec-" + "a" * 64, "prec-" + "b" * 64
KEYS = Keyring({"team": Key(key=TEAM), "other": Key(key=OTHER, tasks=("sums",))})


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", b"Bearer " + key.encode())]


def test_a_key_tells_whose_it_is() -> None:
    """Each key its own section."""
    assert [KEYS.holder(bearer(key)).name for key in (TEAM, OTHER)] == ["team", "other"]


@pytest.mark.parametrize(
    "headers",
    [[(b"authorization", b"bearer   " + TEAM.encode() + b" ")], [(b"x-api-key", TEAM.encode())],
     [(b"api-key", TEAM.encode())], [(b"authorization", b"Basic eDp5"), (b"api-key", TEAM.encode())],
     [(b"x-api-key", TEAM.encode()), (b"api-key", b"wrong")]],
)  # fmt: skip
def test_a_key_is_found_where_clients_show_it(headers: list[tuple[bytes, bytes]]) -> None:
    """OpenAI's as a bearer token, Anthropic's as x-api-key, Azure's as api-key; in this order."""
    assert KEYS.holder(headers).name == "team"


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
        KEYS.holder(headers)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.headers == {"www-authenticate": "Bearer"}


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"api-key", b"host"]), st.binary())))
def test_no_header_is_too_odd(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever the bytes: they are a key or they are none."""
    key_in(headers)
    with pytest.raises(Unauthorized):
        KEYS.holder(headers)


def test_a_hash_is_no_key() -> None:
    """Whoever reads the configuration cannot ask."""
    section = Key(key=TEAM)
    assert section.hash is not None
    for shown in (section.hash, section.hash.removeprefix("sha256:")):
        with pytest.raises(Unauthorized):
            KEYS.holder(bearer(shown))


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
    holder = Keyring({"team": Key(key=TEAM, tasks=tasks, models=models)}).holder(bearer(TEAM))
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
