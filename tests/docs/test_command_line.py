"""docs/command-line.md and the commands are the same, option by option; the README's commands exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from gradsweep.cli.exits import ExitCode
from gradsweep.cli.grouping import SECTIONS as GROUPS
from gradsweep.cli.main import build_app

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "command-line.md").read_text()
COMMANDS: dict[str, Any] = typer.main.get_command(build_app()).commands
SHARED = {"--url", "--token-file", "--json", "--help"}
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def options(command: str) -> list[set[str]]:
    """The options of a command that are shown, each with all its spellings."""
    shown = [parameter for parameter in COMMANDS[command].params if not getattr(parameter, "hidden", False)]
    return [set(parameter.opts) for parameter in shown if parameter.opts[0].startswith("-")]


def commands_in(text: str) -> set[str]:
    """Every `gradsweep COMMAND` that a text tells to type."""
    return set(re.findall(r"^(?:\s*|.*`)gradsweep ([a-z]+)", text, re.MULTILINE))


def test_every_command_has_a_section() -> None:
    assert set(SECTIONS) == set(COMMANDS)


def test_the_help_lists_every_command_once() -> None:
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)


def test_the_page_groups_the_commands_as_the_help_does() -> None:
    rows = re.findall(r"^\| (\w[^|]+) \| (\[`.*) \|$", PAGE, re.MULTILINE)
    assert {title: tuple(re.findall(r"\[`(\w+)`\]\(#\1\)", links)) for title, links in rows} == GROUPS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command: str) -> None:
    section = re.split(r"[\s\[\]`|]+", SECTIONS[command])
    assert [spellings for spellings in options(command) if not spellings & {*section, *SHARED}] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_documented_option_exists(command: str) -> None:
    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", SECTIONS[command].split("\n\n")[1]))
    assert written <= set().union(*options(command))


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert re.search(rf"^\| {code.value} \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", *sorted(path.name for path in (ROOT / "docs").glob("*.md"))])
def test_commands_that_a_page_names_exist(page: str) -> None:
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    assert commands_in(path.read_text()) <= set(COMMANDS)


def test_targets_that_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^ +make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets
