"""Who may sign in, and what a role allows."""

from gateway.services import Services
from gateway.settings.keys import Role, digest
from optimizer.console.visitors import ADMIN_KEY, Visitor, is_open, visitor_with, visitors_named
from tests.consoles import CONFIG, KEY
from tests.fakes import services, settings

READER, CLIENT = "a-key-that-may-look-at-all", "a-key-of-a-client-alone"
KEYS = f"""
[keys.looker]
hash = "{digest(READER)}"
role = "read"
[keys.app]
hash = "{digest(CLIENT)}"
[keys.former]
hash = "{digest("a-key-that-ended-long-ago")}"
role = "admin"
expires = 2020-01-01
"""


def with_keys(text: str = CONFIG + KEYS) -> Services:
    """The services of a gateway with these keys."""
    return services(settings(text), {})


async def test_the_admin_key_and_keys_with_a_role_open_the_console() -> None:
    """A client's key does not, nor does a wrong or an old one."""
    made = with_keys()
    admin, reader = visitor_with(made, KEY), visitor_with(made, READER)
    assert admin is not None and (admin.name, admin.role) == (ADMIN_KEY, "admin")
    assert reader is not None and (reader.name, reader.role) == ("looker", "read")
    assert not any(visitor_with(made, key) for key in ("", CLIENT, READER + "x", "a-key-that-ended-long-ago", "é"))


async def test_a_session_follows_the_present_role() -> None:
    """A key that is gone or over names nobody."""
    made = with_keys()
    assert [visitor.role for visitor in visitors_named(made, "looker", 1e9)] == ["read"]
    assert [visitor.role for visitor in visitors_named(made, ADMIN_KEY, 1e9)] == ["admin"]
    assert not visitors_named(made, "nobody", 1e9) and not visitors_named(made, "former", 2e9)


async def test_without_an_admin_key_and_roles_nobody_can_sign_in() -> None:
    """As with the admin API; a role is enough to open it."""
    off = CONFIG.replace(f'admin_key = "{KEY}"', "")
    assert not is_open(with_keys(off)) and not visitor_with(with_keys(off), "")
    assert is_open(with_keys(off + KEYS)) and not visitors_named(with_keys(off + KEYS), ADMIN_KEY, 1e9)


def test_a_role_holds_the_lower_ones() -> None:
    """In the order read, approve, admin."""
    order: tuple[Role, ...] = ("read", "approve", "admin")
    for rank, role in enumerate(order):
        visitor = Visitor(name="x", role=role, digest="")
        assert [visitor.may(wanted) for wanted in order] == [place <= rank for place in range(3)]
