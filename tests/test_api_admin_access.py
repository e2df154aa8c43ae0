"""Who may do what in the admin API."""

from typing import Any

import pytest

from gateway.api.admin_access import authorise, needed
from gateway.errors import Forbidden, Unauthorized
from gateway.services import Services
from gateway.settings.keys import digest
from tests.fakes import CONFIG, services, settings

KEY = "an admin key of some length"
ROLES = ("use", "read", "approve", "admin")
HEAD = CONFIG.replace("[server]", f'[server]\nadmin_key = "{KEY}"')
KEYS = "".join(f'[keys.{role}]\nhash = "{digest(role * 16)}"\nrole = "{role}"\n' for role in ROLES)


def scope(authorization: str, method: str = "GET", path: str = "/admin/tasks") -> dict[str, Any]:
    return {"headers": [(b"authorization", authorization.encode())], "method": method, "path": path}


def refusal(made: Services, asked: dict[str, Any]) -> str | None:
    try:
        authorise(asked, made)
    except (Unauthorized, Forbidden) as error:
        return error.code
    return None


async def test_the_admin_key_is_compared_whole() -> None:
    """Its scheme in any case, white space around it aside."""
    made = services(settings(HEAD), {})
    authorise(scope(f"bearer  {KEY} "), made)
    for wrong in (f"Bearer {KEY.upper()}", f"Bearer {KEY}{KEY}", KEY, "Bearer ", ""):
        with pytest.raises(Unauthorized):
            authorise(scope(wrong), made)


@pytest.mark.parametrize("head", [HEAD, CONFIG])
async def test_a_role_opens_what_it_names(head: str) -> None:
    """With an admin key beside it or without."""
    made = services(settings(head + KEYS), {})
    asked = [("GET", "/admin/tasks"), ("POST", "/admin/rules/activate"), ("POST", "/admin/keys/new")]
    codes = {
        role: [refusal(made, scope(f"Bearer {role * 16}", method, path)) for method, path in asked] for role in ROLES
    }
    assert codes == {
        "use": ["invalid_api_key"] * 3,
        "read": [None, "role_not_allowed", "role_not_allowed"],
        "approve": [None, None, "role_not_allowed"],
        "admin": [None, None, None],
    }


async def test_without_a_key_for_it_the_admin_api_is_off() -> None:
    """An empty key opens nothing."""
    made = services(settings(), {})
    assert [refusal(made, scope(text)) for text in ("", "Bearer ", f"Bearer {KEY}")] == ["admin_api_off"] * 3


async def test_an_expired_key_is_told_so() -> None:
    """It is not a wrong one."""
    text = CONFIG + f'[keys.old]\nhash = "{digest("o" * 16)}"\nrole = "read"\nexpires = 2001-01-31\n'
    assert refusal(services(settings(text), {}), scope("Bearer " + "o" * 16)) == "expired_api_key"


def test_reading_needs_less_than_deciding() -> None:
    """And deciding less than making keys."""
    assert [needed(method, path) for method, path in (("HEAD", "/admin/keys"), ("POST", "/admin/injection"))] == [
        "read", "approve",
    ]  # fmt: skip
