"""``preceptor tasks discover`` and ``adopt``."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import run
from gateway.domain import Exchange
from gateway.errors import ConfigurationError, PreceptorError
from gateway.formats.chat import open_chat
from gateway.routing.classify import Classifier
from gateway.settings import load
from gateway.store.sql import SqlStore
from optimizer.commands.discover import append
from tests.unclaimed import KINDS, chat, exchange, traffic

CONFIG = """# ours
[upstreams.u]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
upstream = "u"
model = "tiny-1b"
price = { input = 0.1, output = 0.4 }
[models.large]
upstream = "u"
model = "gpt-4o"
price = { input = 2.5, output = 10 }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "preceptor.toml"
    file.write_text(f'{CONFIG}[server]\ndata_dir = "{tmp_path}"\n')
    return file


def record(config: Path, exchanges: list[Exchange]) -> None:
    store = SqlStore.open(config.parent)
    store.record(exchanges)
    store.close()


@pytest.fixture
def busy(config: Path) -> Path:
    """A configuration without tasks, behind which 300 requests of known kinds were recorded."""
    record(config, traffic(KINDS, 300)[1])
    return config


def listed(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert run(["tasks", "discover", "--json", "-c", str(config), *more]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def adopt(config: Path, group: str, name: str = "tickets", *more: str) -> int:
    return run(
        ["tasks", "adopt", group, "-c", str(config), "--as", name, "--weak", "small", "--strong", "large", *more]
    )


def test_every_kind_is_listed_with_its_volume_and_its_money(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shares add up, and what passed through is priced by the upstream's name."""
    result = listed(busy, capsys)
    assert result["looked_at"] == 300 and len(result["groups"]) == len(KINDS)
    assert sum(group["share"] for group in result["groups"]) == pytest.approx(1)
    for group in result["groups"]:
        assert group["client_models"] == {"gpt-4o": group["requests"]}
        assert group["usd"] == pytest.approx(group["requests"] * (100 * 2.5 + 10 * 10) / 1e6)
        assert group["weak"] == "small" and group["saves_usd_per_month"] > 0


def test_a_person_is_told_the_same(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And how to go on."""
    assert run(["tasks", "discover", "-c", str(busy)]) == 0
    words = capsys.readouterr().out
    for line in ("Summarise the ticket", "Look the order up", "small would save $", "tasks adopt"):
        assert line in words


def test_no_example_gives_a_caller_away(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses and numbers are hidden."""
    secret = chat("Help the caller.", "Write to anna@example.com about 4711.")
    record(busy, [exchange(1000 + number, secret) for number in range(3)])
    words = json.dumps(listed(busy, capsys))
    assert "anna" not in words and "4711" not in words


def test_a_price_that_is_not_known_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is claimed in its place."""
    record(config, [exchange(1, chat("Help.") | {"model": "mystery"})])
    assert run(["tasks", "discover", "-c", str(config)]) == 0
    assert "no price is configured for mystery" in capsys.readouterr().out


def test_an_empty_log_is_no_error(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is missing."""
    assert run(["tasks", "discover", "-c", str(config)]) == 0
    assert "no request" in capsys.readouterr().out


def test_only_the_newest_are_looked_at_if_one_wants(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log may be long."""
    assert listed(busy, capsys, "--last", "50")["looked_at"] == 50


def test_a_model_that_is_not_configured_cannot_be_compared_with(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names those that are."""
    assert run(["tasks", "discover", "-c", str(busy), "--weak", "nosuch"]) == 1
    assert "small, large" in capsys.readouterr().err


def test_adopting_a_group_makes_its_requests_a_task(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """These and no others; the rest of the file keeps every byte, and callers get the strong model's answers."""
    before = busy.read_bytes()
    groups = listed(busy, capsys)["groups"]
    chosen = next(group for group in groups if "Summarise" in group["template"])
    assert adopt(busy, chosen["id"]) == 0
    line = capsys.readouterr()
    assert line.out.startswith("[tasks.tickets]\n") and line.out.strip() in busy.read_text()
    assert "callers asked" not in line.err
    assert busy.read_bytes().startswith(before)
    settings = load(busy)
    assert settings.tasks["tickets"].serve == "shadow"
    classifier = Classifier(settings.tasks)
    labels, exchanges = traffic(KINDS, 300, seed=2)
    for label, item in zip(labels, exchanges, strict=True):
        task = classifier.task_of(open_chat(item.request), lambda _: None)
        assert (task == "tickets") == (label == "summarise")


def test_all_groups_can_be_adopted_one_after_the_other(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the names that were proposed."""
    for group in listed(busy, capsys)["groups"]:
        assert adopt(busy, group["id"], group["name"], "--serve", "strong", "--grader", "exact") == 0
    tasks = load(busy).tasks
    assert len(tasks) == len(KINDS)
    classifier = Classifier(tasks)
    result: dict[str, set[str | None]] = {}
    for label, item in zip(*traffic(KINDS, 300, seed=2), strict=True):
        result.setdefault(label, set()).add(classifier.task_of(open_chat(item.request), lambda _: None))
    assert all(len(names) == 1 and None not in names for names in result.values()) and len(result) == len(KINDS)


def test_a_caller_who_gets_another_model_is_told_of(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Adopting should change nothing for callers; where it does, it says so."""
    record(config, [exchange(1, chat("Help.") | {"model": "claude"})])
    assert adopt(config, listed(config, capsys)["groups"][0]["id"]) == 0
    assert "callers asked for 'claude'; from now on 'large' answers them" in capsys.readouterr().err


def test_what_cannot_be_told_apart_is_named_by_the_client(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The section has no match then, and the command says what to do."""
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    record(config, [exchange(1, chat(None, "Why?")), exchange(2, chat(None, "Why?", tools=tools))])
    assert adopt(config, listed(config, capsys)["groups"][0]["id"]) == 0
    line = capsys.readouterr()
    assert "match" not in line.out and "task:tickets" in line.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nosuch", "--as", "x", "--weak", "small", "--strong", "large"], "tasks discover"),
        (["GROUP", "--as", "x", "--weak", "nosuch", "--strong", "large"], "tasks.x.weak"),
        (["GROUP", "--as", "not a name", "--weak", "small", "--strong", "large"], "not a name"),
    ],
)
def test_a_refusal_leaves_the_file_as_it_was(
    busy: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    """Byte for byte, and no draft lies about."""
    before, files = busy.read_bytes(), {file.name for file in busy.parent.iterdir()}
    group = listed(busy, capsys)["groups"][0]["id"]
    asked = [group if word == "GROUP" else word for word in arguments]
    assert run(["tasks", "adopt", *asked, "-c", str(busy)]) == 1
    assert complaint in capsys.readouterr().err
    assert busy.read_bytes() == before
    assert {file.name for file in busy.parent.iterdir()} == files


def test_a_name_that_is_taken_is_refused(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A task is never replaced."""
    first, second, *_ = listed(busy, capsys)["groups"]
    assert adopt(busy, first["id"]) == 0
    before = busy.read_bytes()
    assert adopt(busy, second["id"]) == 1
    assert "already" in capsys.readouterr().err and busy.read_bytes() == before


def test_a_section_is_appended_in_the_files_own_way(tmp_path: Path) -> None:
    """Line ends, a missing last one, rights and a link to the file are kept."""
    file, link = tmp_path / "real.toml", tmp_path / "link.toml"
    text = CONFIG.rstrip("\n").replace("\n", "\r\n").encode()
    file.write_bytes(text)
    file.chmod(0o640)
    link.symlink_to(file)
    append(link, '[tasks.x]\nweak = "small"\nstrong = "large"\n')
    assert file.read_bytes() == text + b'\r\n\r\n[tasks.x]\r\nweak = "small"\r\nstrong = "large"\r\n'
    assert link.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_to_which_no_section_can_be_added_is_refused(tmp_path: Path) -> None:
    """TOML has tables that are closed; the error names the file, not the draft."""
    file = tmp_path / "preceptor.toml"
    file.write_text("tasks = {}\n" + CONFIG)
    with pytest.raises(ConfigurationError) as error:
        append(file, '[tasks.x]\nweak = "small"\nstrong = "large"\n')
    assert error.value.source == str(file)
    with pytest.raises(PreceptorError, match="cannot write"):
        append(tmp_path / "none.toml", "")
