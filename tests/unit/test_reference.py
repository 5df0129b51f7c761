"""The reference: complete by construction, up to date, and its links lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import netyard
from netyard.cli.main import cli

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
CLASSES = [
    name
    for name in netyard.__all__
    if isinstance(getattr(netyard, name), type)
    and not issubclass(getattr(netyard, name), BaseException)
]


def commands(
    command: click.Command = cli, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that help shows, with what is typed for it."""
    yield words, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None, name
            if not found.hidden:
                yield from commands(found, (*words, name))


def page_of(words: tuple[str, ...]) -> Path:
    """The page of a command."""
    return REFERENCE / "commands" / f"{'-'.join(words) or 'netyard'}.md"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the generator reads and writes."""
    native = shutil.ignore_patterns("*.so", "__pycache__")
    for part in ("docs/generator", "docs/reference", "python"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=native)
    for core in (ROOT / "python" / "netyard").glob("_core*.so"):
        (tmp_path / "python" / "netyard" / core.name).symlink_to(core)
    return tmp_path


def generate(tree: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a tree's generator."""
    command = [sys.executable, str(tree / "docs" / "generator"), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_public_name_is_described() -> None:
    """By a page of its own, by its part of the page of errors, or as a constant."""
    index = (REFERENCE / "api" / "README.md").read_text()
    errors = (REFERENCE / "api" / "errors.md").read_text()
    for name in netyard.__all__:
        assert f"`{name}`" in index, name
        found = getattr(netyard, name)
        if isinstance(found, type) and issubclass(found, BaseException):
            assert f"\n## {name}\n" in errors, name
    assert {"Container", "Host", "Network", "NetworkRequest"} <= set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_member_is_described(name: str) -> None:
    """Methods by a heading, attributes by a row."""
    index = (REFERENCE / "api" / "README.md").read_text()
    (target,) = re.findall(rf"^\| \[`{name}`\]\((.+?)\)", index, re.MULTILINE)
    text = (REFERENCE / "api" / target).read_text()
    assert f"\n# netyard.{name}\n" in text
    for member in vars(getattr(netyard, name)):
        if not member.startswith("_"):
            assert f"\n### {member}\n" in text or f"\n| `{member}` |" in text, member


@pytest.mark.parametrize("collection", ["Networks", "Containers", "Members"])
def test_collections_of_a_host_are_described(collection: str) -> None:
    """They are public by being reached from a host, not by their names."""
    assert f"]({collection.lower()}.md)" in (REFERENCE / "api" / "host.md").read_text()
    assert "\n### list\n" in (REFERENCE / "api" / f"{collection.lower()}.md").read_text()


def test_every_command_is_described() -> None:
    """With each option that its help shows, and each subcommand."""
    found = list(commands())
    assert len(found) > 40
    for words, command in found:
        text = page_of(words).read_text()
        assert f"# `{' '.join(('netyard', *words))}`" in text
        assert str(command.help).split("\n", maxsplit=1)[0] in text
        for each in command.params:
            if isinstance(each, click.Option) and not each.hidden:
                assert all(f"`{word}`" in text for word in each.opts), each.opts


def test_every_option_is_explained() -> None:
    """Whatever `--help` shows says what it is for."""
    for words, command in commands():
        for each in command.params:
            if isinstance(each, click.Option) and not each.hidden:
                assert each.help, (words, each.opts)


def test_a_function_has_one_line_about_what_it_returns() -> None:
    """Links and words together, however many lines the docstring takes."""
    for page in (REFERENCE / "api").glob("*.md"):
        for part in page.read_text().split("\n### "):
            assert part.count("\nReturns: ") <= 1, (page.name, part.partition("\n")[0])
    container = (REFERENCE / "api" / "container.md").read_text()
    assert "Returns: [`Execution`](execution.md). The running command:" in container


def test_defaults_are_shown_as_values() -> None:
    """Nobody outside can look up what a constant of a module is."""
    assert "stop(timeout: float = 10.0)" in (REFERENCE / "api" / "container.md").read_text()
    for page in (REFERENCE / "api").glob("*.md"):
        assert not re.search(r" = _?[A-Z_]{3,}[,)]", page.read_text()), page.name


def test_a_command_that_must_be_given_is_not_optional() -> None:
    """Of a container; click itself lets it pass, so that netyard's own sentence is shown."""
    for words in (("run",), ("create",), ("exec",)):
        assert "| `COMMAND` | one or more |" in page_of(words).read_text(), words


def test_no_page_is_left_of_what_is_gone() -> None:
    """Pages of commands are those of commands there are."""
    wanted = {page_of(words).name for words, _ in commands()} | {"README.md"}
    assert {path.name for path in (REFERENCE / "commands").glob("*.md")} == wanted


def test_the_reference_is_up_to_date(tree: Path) -> None:
    """As `make check` has it."""
    checked = generate(tree, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_new_public_name_gets_its_page(tree: Path) -> None:
    """Without anybody adding it anywhere; until then the check fails."""
    module = tree / "python" / "netyard" / "__init__.py"
    new = 'class Newcomer:\n    """What is new."""\n\n\n__all__ = [*__all__, "Newcomer"]\n'
    module.write_text(f"{module.read_text()}\n\n{new}")
    checked = generate(tree, "--check")
    assert checked.returncode == 1
    assert "docs/reference/api/newcomer.md" in checked.stdout
    assert "run 'make docs'" in checked.stderr
    assert generate(tree).returncode == 0
    assert "What is new." in (tree / "docs/reference/api/newcomer.md").read_text()
    assert generate(tree, "--check").returncode == 0


def test_a_changed_help_text_is_noticed(tree: Path) -> None:
    """The pages say what the commands say."""
    module = tree / "python" / "netyard" / "cli" / "main.py"
    module.write_text(module.read_text().replace("Show a traceback", "Show the whole traceback"))
    checked = generate(tree, "--check")
    assert checked.returncode == 1
    assert "+| `--debug` |  | off | Show the whole traceback" in checked.stdout


@pytest.mark.parametrize(
    ("docstring", "complaint"),
    [
        ('"""See `netyard.gone`."""', "`netyard.gone` does not exist"),
        ('"""It does.\n\n        Args:\n            ghost: None.\n        """', "explains 'ghost'"),
    ],
)
def test_docstrings_that_lead_nowhere_are_refused(
    tree: Path, docstring: str, complaint: str
) -> None:
    """A name that has been moved away, a parameter that is no more."""
    module = tree / "python" / "netyard" / "__init__.py"
    new = f"class Newcomer:\n    def go(self) -> None:\n        {docstring}\n"
    module.write_text(f'{module.read_text()}\n\n{new}\n\n__all__ = [*__all__, "Newcomer"]\n')
    refused = generate(tree)
    assert refused.returncode != 0
    assert complaint in refused.stderr
