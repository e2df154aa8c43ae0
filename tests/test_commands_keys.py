"""``preceptor keys``."""

import contextlib
import json
from pathlib import Path

import pytest

from gateway import issued_keys
from gateway.cli import run
from gateway.settings import parse
from gateway.settings.keys import digest
from gateway.settings.quotas import Budget, Limits
from gateway.store.sql import SqlStore
from tests.fakes import CONFIG


@pytest.mark.parametrize("name", ["team-a", "org/team.a"])
def test_what_goes_to_stdout_can_be_appended_to_the_configuration(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It holds the hash; the key itself goes to stderr, once."""
    assert run(["keys", "new", name]) == 0
    out, err = capsys.readouterr()
    key = err.strip().rpartition(" ")[2]
    assert key.startswith("prec-") and len(key) == 69 and key not in out
    settings = parse("[server]\nport = 1" + out, source="test", environment={})
    assert {name: section.hash for name, section in settings.keys.items()} == {name: digest(key)}


def test_scripts_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs make two keys."""
    made = []
    for _ in range(2):
        assert run(["keys", "new", "team", "--json"]) == 0
        made.append(json.loads(capsys.readouterr().out))
    assert [one["name"] for one in made] == ["team", "team"]
    assert all(one["hash"] == digest(one["key"]) for one in made)
    assert made[0]["key"] != made[1]["key"]


@pytest.mark.parametrize("name", ["", "a b", 'a"]\nx', "-"])
def test_a_name_that_the_configuration_would_refuse_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage, and no key is made."""
    assert run(["keys", "new", "--", name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "prec-" not in err


LIMITED = ("--requests-per-minute", "60", "--concurrent", "4", "--budget", "12.5", "--per", "day", "--then", "warn")


def test_limits_and_a_budget_are_part_of_the_section(capsys: pytest.CaptureFixture[str]) -> None:
    """As they would be written by hand; what is not given is not limited."""
    assert run(["keys", "new", "team", *LIMITED]) == 0
    settings = parse("[server]\nport = 1" + capsys.readouterr().out, source="test", environment={})
    assert settings.keys["team"].limits == Limits(requests_per_minute=60, concurrent=4)
    assert settings.keys["team"].budget == Budget(usd=12.5, per="day", then="warn")


def test_a_stored_key_keeps_its_limits(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every gateway on the store follows them."""
    assert run(["keys", "new", "team", *LIMITED, "--store", "-c", config]) == 0
    with contextlib.closing(SqlStore.open(tmp_path)) as store:
        key = issued_keys.read(store)["team"]
    assert (key.limits.concurrent, key.budget) == (4, Budget(usd=12.5, per="day", then="warn"))


@pytest.mark.parametrize("wrong", [["--concurrent", "0"], ["--budget", "0"], ["--per", "week"]])
def test_limits_that_the_configuration_would_refuse_are_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage, and no key is made."""
    assert run(["keys", "new", "team", *wrong]) == 2
    assert "prec-" not in capsys.readouterr().err


SECRET = "prec-0123456789abcdef"


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with the key ``written``."""
    path = tmp_path / "preceptor.toml"
    path.write_text(CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{tmp_path}"') + KEY, encoding="utf-8")
    return str(path)


KEY = f'[keys.written]\nhash = "{digest(SECRET)}"\nowner = "ops"\n'


def states(config: str, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    capsys.readouterr()
    assert run(["keys", "list", "-c", config, "--json"]) == 0
    return {key["name"]: (key["state"], key["kept_in"]) for key in json.loads(capsys.readouterr().out)["keys"]}


def test_a_stored_key_is_listed_turned_and_revoked(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its secret is shown once, and nothing of it is in the folder but hashes."""
    made = ["keys", "new", "-c", config, "team", "--store", "--owner", "payments", "--role", "read", "--json"]
    assert run([*made, "--expires", "2999-01-31", "--task", "arithmetic"]) == 0
    secret = json.loads(capsys.readouterr().out)["key"]
    assert states(config, capsys) == {"team": ("valid", "store"), "written": ("valid", "configuration")}
    assert run(["keys", "rotate", "-c", config, "team", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)["key"]
    assert states(config, capsys)["team"] == ("rotating", "store") and second != secret
    assert run(["keys", "revoke", "-c", config, "team"]) == 0
    assert states(config, capsys)["team"] == ("revoked", "store")
    kept = b"".join(file.read_bytes() for file in Path(config).parent.rglob("*") if file.is_file())
    assert not any(key.removeprefix("prec-").encode() in kept for key in (secret, second))


def test_a_key_of_the_configuration_is_revoked_as_well(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its hash is kept as one that is right no more."""
    assert run(["keys", "revoke", "-c", config, "written"]) == 0
    assert states(config, capsys) == {"written": ("revoked", "store")}


def test_for_a_key_of_the_configuration_a_rotation_prints_its_section(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With both hashes and all that was there."""
    assert run(["keys", "rotate", "-c", config, "written"]) == 0
    section = parse(capsys.readouterr().out, source="test", environment={}).keys["written"]
    assert (section.owner, section.old_hash) == ("ops", digest(SECRET)) and section.hash != section.old_hash


@pytest.mark.parametrize(
    "command",
    [["revoke", "nobody"], ["rotate", "nobody"], ["new", "written", "--store"]],
    ids=lambda command: command[0],
)
def test_a_name_that_does_not_fit_is_refused(command: list[str], config: str) -> None:
    """Unknown, or in use already."""
    assert run(["keys", command[0], "-c", config, *command[1:]]) == 1


def test_people_see_a_line_per_key(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, role, state, place, owner."""
    assert run(["keys", "list", "-c", config]) == 0
    assert capsys.readouterr().out.split() == ["written", "use", "valid", "(configuration)", "ops"]
