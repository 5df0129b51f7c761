"""What the documents say is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_tests_named_in_the_compatibility_table_exist() -> None:
    """A row without its test would be an open row."""
    table = (ROOT / "docs/docker-compatibility.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    functions = re.findall(r"def (test_\w+)", sources)
    for name in re.findall(r"\btest_\w+(?!\w*\.py)", table):
        directories = (ROOT / "tests" / each for each in ("unit", "lab_hosts", "vm"))
        if name == "test_" or any((each / f"{name}.py").exists() for each in directories):
            continue
        assert any(function.startswith(name) for function in functions), name


def test_every_row_has_something_to_show() -> None:
    """Three columns, and a test in the last."""
    table = (ROOT / "docs/docker-compatibility.md").read_text()
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not re.match(r"[A-Z]{2}\d", cells[0]):
            continue
        assert len(cells) == 3, line
        assert "`" in cells[2], line


PAGES = [
    *(ROOT.glob("*.md")),
    *(ROOT / "docs").rglob("*.md"),
]
DECISIONS = ROOT / "docs" / "decisions"


def without_code(text: str) -> str:
    """A page without its blocks of code, where brackets are no links and signs no headings."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The fragments that lead to a page's headings, as code-hosting sites make them."""
    found = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    titles = [re.sub(r"\[(.+?)\]\(.+?\)", r"\1", each).lower() for each in found]
    slugs = [re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", each)) for each in titles]
    assert len(slugs) == len(set(slugs)), f"{page}: two headings have the same fragment"
    return set(slugs)


def links(page: Path) -> list[tuple[str, str]]:
    """Path and fragment of each link of a page to another one, or within itself."""
    prose = re.sub(r"`[^`]*`", "", without_code(page.read_text()))
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [each.partition("#")[::2] for each in found if "://" not in each]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading of it."""
    for path, fragment in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert ROOT in target.parents, f"{path} is not in the repository"
        assert not fragment or fragment in anchors(target), f"{path}#{fragment}"


def test_links_are_looked_at() -> None:
    """What finds them finds them."""
    assert len(PAGES) > 80
    assert sum(len(links(page)) for page in PAGES) > 300
    assert ("docs/guide.md", "on-the-physical-network-macvlan-and-ipvlan") in links(
        ROOT / "README.md"
    )


def test_every_page_can_be_reached() -> None:
    """Links lead from the README to every page there is."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            targets = [(page.parent / path).resolve() for path, _ in links(page) if path]
            waiting += [each for each in targets if each.suffix == ".md"]
    assert set(PAGES) - reached <= {ROOT / "CHANGELOG.md"}


def test_decisions_are_numbered_and_listed() -> None:
    """Without gaps, each with the same headings, each with its line and its title in the index."""
    index = (DECISIONS / "README.md").read_text()
    found = sorted(DECISIONS.glob("[0-9]*.md"))
    assert len(found) > 20
    for number, page in enumerate(found, 1):
        assert page.name.startswith(f"{number:04}-")
        lines = page.read_text().splitlines()
        title = lines[0].removeprefix(f"# {number:04}. ")
        assert title != lines[0], page.name
        assert f"| [{number:04}]({page.name}) | {title} |" in index
        headings = [line for line in lines if line.startswith("## ")]
        assert headings == [
            "## Context",
            "## Choice",
            "## Rejected",
            "## What would change our mind",
        ], page.name


def test_the_glossary_has_the_marks_of_the_code() -> None:
    """Link groups, packet marks, the route protocol: those that stand in it are those in force."""
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    code = "".join(
        path.read_text()
        for folder, suffix in (("python", "py"), ("rust", "rs"))
        for path in (ROOT / folder).rglob(f"*.{suffix}")
        if "target" not in path.parts
    )
    numbers = {int(each, 16) for each in re.findall(r"0x[0-9A-Fa-f_]{4,}", code.replace("_", ""))}
    named = re.findall(r"`0x([0-9A-F]{4,})`(?: \((\d+), )?", glossary)
    assert len(named) >= 4
    for digits, decimal in named:
        assert int(digits, 16) in numbers, digits
        assert not decimal or int(decimal) == int(digits, 16)
    # And the other way: what the code marks with netyard's letters is explained.
    letters = {each for each in numbers if f"{each:X}"[:3] in ("4E5", "6E7")}
    assert len(letters) >= 4
    for number in letters:
        assert f"0x{number:X}".removesuffix("0000") in glossary, hex(number)
    (protocol,) = re.findall(r"RouteProtocol::Other\((\d+)\)", code)
    assert f"route protocol `{protocol}`" in glossary


_STEP = re.compile(r"`(?P<path>[\w/]+\.py)`: (?P<words>[^;]*)")
_WALK = re.compile(
    r"^\*\*(?P<title>.+?)\*\* \((?P<rooms>\d) rooms\)$(?P<steps>[^*]*)", re.MULTILINE
)
_WALKS = list(_WALK.finditer((ROOT / "CONTRIBUTING.md").read_text()))


def test_there_are_four_walks() -> None:
    """So many decisions can be followed from file to file."""
    assert len(_WALKS) == 4


@pytest.mark.parametrize("walk", _WALKS, ids=[walk["title"] for walk in _WALKS])
def test_walks_lead_where_they_say(walk: re.Match[str]) -> None:
    """Each file defines the functions named with it; a walk passes through seven rooms at most."""
    steps = [step for line in re.split(r"\n\d\. ", walk["steps"]) for step in _STEP.finditer(line)]
    rooms = {step["path"].partition("/")[0] for step in steps}
    assert len(rooms) == int(walk["rooms"]) <= 7
    for step in steps:
        tree = ast.parse((ROOT / "python/netyard" / step["path"]).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        named = set(re.findall(r"`(\w+)`", step["words"]))
        assert named, step["path"]
        assert named <= defined, step["path"]
