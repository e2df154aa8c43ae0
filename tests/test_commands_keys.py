"""``preceptor keys``."""

import json

import pytest

from gateway.cli import run
from gateway.settings import parse
from gateway.settings.keys import digest


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
