"""The command ``preceptor``: exit codes, and errors in one line."""

from pathlib import Path

import click
import pytest

from gateway.cli import command_line, run
from gateway.commands.rules import rules


def commands(group: click.Group) -> list[tuple[str, click.Command]]:
    """Every command that can be run, groups walked through."""
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        inner = commands(command) if isinstance(command, click.Group) else [("", command)]
        found += [(f"{name} {rest}".strip(), one) for rest, one in inner]
    return found


def test_every_command_of_the_contract_is_there() -> None:
    """Others script against these names."""
    names = {name for name, _ in commands(command_line())}
    wanted = "serve,demo,check,init,models list,models pull,tasks list,tasks show,distill,eval,verify,rules list"
    wanted += (
        ",tasks discover,tasks adopt,rules show,rules diff,rules import,rules export,rules activate,rules rollback"
    )
    assert set(wanted.split(",")) <= names


@pytest.mark.parametrize(("name", "command"), commands(command_line()))
def test_every_command_shows_an_example(name: str, command: click.Command) -> None:
    """``--help`` ends with a line that can be copied."""
    assert command.epilog is not None
    assert command.epilog.startswith(f"Example: preceptor {name}")


@pytest.mark.parametrize(("name", "command"), commands(command_line()))
def test_the_help_of_a_command_fits_its_line(name: str, command: click.Command) -> None:
    """A list of commands on a terminal of 80 columns ends no description with dots."""
    assert not command.get_short_help_str(limit=60).endswith("..."), name


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["rules", "list"], ["serve", "--port", "70000"], ["rules", "activate", "t", "x"], ["eval", "--no"]],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what is wrong and where help is."""
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "--help" in captured.err


def test_no_command_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer who types the bare name sees what there is."""
    assert run([]) == 2
    assert "serve" in capsys.readouterr().err


def test_a_missing_configuration_says_how_to_write_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and one line that says what to do."""
    assert run(["check", "-c", str(tmp_path / "none.toml")]) == 1
    assert "preceptor init" in capsys.readouterr().err


def test_every_mistake_of_a_configuration_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, not one after another."""
    file = tmp_path / "bad.toml"
    file.write_text("[server]\nport = 'x'\nhots = 1\n[tasks.t]\nweak = 'a'\nstrong = 'b'\n")
    assert run(["check", "-c", str(file)]) == 1
    lines = capsys.readouterr().err.splitlines()
    for key in ("server.port", "server.hots", "tasks.t.weak", "tasks.t.strong"):
        assert any(key in line for line in lines), key


def test_the_group_of_rules_has_no_hidden_state() -> None:
    """The command line may be built any number of times."""
    command_line()
    assert rules in command_line().commands.values()


def test_interruption_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell script can tell Ctrl-C from failure."""

    @click.command("interrupted", epilog="Example: preceptor interrupted")
    def interrupted() -> None:
        raise KeyboardInterrupt

    group = command_line()
    group.add_command(interrupted)
    try:
        assert run(["interrupted"]) == 130
    finally:
        del group.commands["interrupted"]
    assert capsys.readouterr().err.strip() == "preceptor: interrupted"
