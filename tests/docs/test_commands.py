"""docs/commands.md has every command with every option and an example, and nothing that does not exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from commands import main
from shared.core.stack_file import ROOT

DOCUMENT = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its whole name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield path + name, command


COMMANDS = dict(commands(main))
SECTIONS = {
    heading: text
    for heading, text in re.findall(
        r"^### `evergreen ([a-z -]+[a-z])[^`]*`\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL
    )
}


def options(command: click.Command) -> set[str]:
    """The names of a command's options, as they are typed; older spellings are hidden."""
    return {
        parameter.opts[0]
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    }


def test_every_command_has_its_section() -> None:
    """And there is no section of a command that does not exist."""
    assert sorted(SECTIONS) == sorted(COMMANDS)
    assert DOCUMENT.count("\n### ") == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """In the command's table, each option has a row with an explanation, and no row has an option that does not
    exist."""
    rows = dict(re.findall(r"^\| `(--[a-z-]+)[^`]*` \| (.+) \|$", SECTIONS[name], re.MULTILINE))
    assert set(rows) == options(COMMANDS[name])
    assert all(words.strip() for words in rows.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_named(name: str) -> None:
    """In the heading, as the command's own help names it."""
    command = COMMANDS[name]
    context = click.Context(command)
    arguments = [
        parameter.make_metavar(context) for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    assert f"### `{' '.join(['evergreen', name, *arguments])}`\n" in DOCUMENT


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_understood(name: str) -> None:
    """Each command has one, and the command line can read it: options exist and values fit."""
    examples = re.findall(rf"^\./evergreen {name}\b(.*)$", SECTIONS[name], re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example, comments=True)
        words = words[: words.index(">")] if ">" in words else words
        COMMANDS[name].make_context(name, [word.replace("people.csv", __file__) for word in words])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_in_the_help_is_understood(name: str) -> None:
    """And it fits a terminal of 80 columns."""
    examples = COMMANDS[name].epilog or ""
    assert all(len(line) <= 78 for line in examples.splitlines())
    for example in examples.replace("\\\n", "").splitlines():
        assert example.startswith(f"evergreen {name}")
        words = shlex.split(example.removeprefix(f"evergreen {name}"))
        words = words[: words.index(">")] if ">" in words else words
        COMMANDS[name].make_context(name, [word.replace("people.csv", __file__) for word in words])
