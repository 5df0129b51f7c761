"""The shape of the Rust code: which way its files point, and how long they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

RUST = Path(__file__).parents[2] / "rust"
LINES_MAX = 450
# Files that may be longer: this list may only shrink.
LONGER: set[str] = set()
# What declares the modules of a crate or a folder, and hands out their names: no room of its own.
ROOTS = {"lib.rs", "main.rs"}
FACES = {*ROOTS, "mod.rs"}

Module = tuple[str, ...]

_NOT_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | r(\#*)".*?"\1 | "(?:\\.|[^"\\])*" | '(?:\\.[^']*|[^'\\])'""",
    re.DOTALL | re.VERBOSE,
)
_TESTS = re.compile(r"#\[cfg\(test\)\]\s*mod \w+ \{.*?^\}", re.DOTALL | re.MULTILINE)
_BRANCHES = re.compile(r"([\w:]+::)\s*\{([^{}]*)\}")


def test_no_file_is_in_a_circle() -> None:
    """Within a crate, files can be read one after the other."""
    circles = {
        str(root.relative_to(RUST)): find_circle(root, files)
        for root, files in crates(RUST).items()
    }
    assert {name: circle for name, circle in circles.items() if circle} == {}


def test_no_file_is_too_long() -> None:
    """One idea a file; one that is on the list of exceptions without need is taken off it."""
    assert too_long(RUST) == LONGER


def test_arrows_are_seen() -> None:
    """A checker that reads nothing finds no circle either."""
    graphs = {
        str(root.relative_to(RUST)): graph(root, files) for root, files in crates(RUST).items()
    }
    assert {"dns/src", "netlink/src", "nft/src", "netns/src", "py/src"} <= graphs.keys()
    assert graphs["netns/src/shim"][("supervise",)] >= {("options",), ("streams",), ("status",)}
    assert graphs["dns/src"][("udp",)] >= {("forward",), ("wire",)}


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        ({"a": "use crate::b::B;", "b": "use crate::c::C;", "c": "use super::a::A;"}, "abc"),
        ({"a": "use crate::{c::C, b::{self, B}};", "b": "fn f() { crate::a::g() }"}, "ab"),
        ({"a": "fn f<'a>(b: &'a super::b::B) {}", "b": "use crate::{a, c};"}, "ab"),
        # Through the face of the crate, which hands out a name of `b`.
        (
            {"a": "use crate::Handed;", "b": "use crate::a;", "lib": "mod b; pub use b::Handed;"},
            "ab",
        ),
        ({"a": "use crate::d::e::E;", "d/mod": "mod e;", "d/e": "use crate::a::A;"}, "ae"),
        ({"a": "use crate::b;", "b": "use crate::c;"}, ""),
        ({"a": "use crate::b;", "b": '// crate::a\nconst A: &str = "crate::a";'}, ""),
        ({"a": "use crate::b;", "b": "#[cfg(test)]\nmod tests {\n    use crate::a;\n}"}, ""),
        ({"a": "use crate::Error;", "b": "use crate::a; use self::Inner::C; use other::a::A;"}, ""),
    ],
)
def test_circles_are_found(tmp_path: Path, files: dict[str, str], circle: str) -> None:
    """By whatever way a file is named; not by comments, texts, tests and other crates."""
    for name, text in {"lib": "", "c": "", **files}.items():
        file = tmp_path / "x" / "src" / f"{name}.rs"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    ((root, found),) = crates(tmp_path).items()
    assert {module[-1] for module in find_circle(root, found)} == set(circle)


def test_long_files_are_found(tmp_path: Path) -> None:
    """Lines of any kind count; what is no source does not."""
    for name, lines in {"src/a.rs": 450, "src/b.rs": 451, "benches/c.rs": 999}.items():
        file = tmp_path / "x" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("//\n" * lines)
    assert too_long(tmp_path) == {"x/src/b.rs"}


def sources(below: Path) -> list[Path]:
    """Files of the crates below a folder, without tests, benchmarks and fuzz targets."""
    return sorted(file for file in below.glob("*/src/**/*.rs") if file.name != "tests.rs")


def too_long(below: Path) -> set[str]:
    """Files with more lines than a reader keeps in mind."""
    lengths = {file: len(file.read_text().splitlines()) for file in sources(below)}
    return {str(file.relative_to(below)) for file, lines in lengths.items() if lines > LINES_MAX}


def crates(below: Path) -> dict[Path, list[Path]]:
    """The files of each library and each program, by its folder."""
    found: dict[Path, list[Path]] = {}
    for file in sources(below):
        root = next(f for f in file.parents if any((f / name).exists() for name in ROOTS))
        found.setdefault(root, []).append(file)
    return found


def find_circle(root: Path, files: list[Path]) -> list[Module]:
    """Files of a crate that lead back to themselves, if there are any."""
    try:
        TopologicalSorter(graph(root, files)).prepare()
    except CycleError as error:
        circle: list[Module] = error.args[1]
        return circle
    return []


def graph(root: Path, files: list[Path]) -> dict[Module, set[Module]]:
    """Each file of a crate as a module, and the others it names."""
    named = {file: set(paths(module_of(root, file), file.read_text())) for file in files}
    modules = {module_of(root, file): file for file in files if file.name not in FACES}
    # What the root of the crate hands out leads to where it comes from.
    handed = {path[-1]: path for name in ROOTS for path in named.get(root / name, ())}

    def target(path: Module) -> Module:
        path = handed.get(path[0], path) if path and path[:1] not in modules else path
        return next((path[:n] for n in range(len(path), 0, -1) if path[:n] in modules), ())

    return {
        module: {target(path) for path in named[file]} - {module, ()}
        for module, file in modules.items()
    }


def module_of(root: Path, file: Path) -> Module:
    """The path of a file's module within its crate."""
    parts = file.relative_to(root).with_suffix("").parts
    return parts[:-1] if file.name in FACES else parts


def paths(module: Module, text: str) -> Iterator[Module]:
    """Everything of its own crate that a file names, from the root of the crate."""
    text = _TESTS.sub("", _NOT_CODE.sub(" ", text))
    while branches := _BRANCHES.search(text):
        prefix, items = branches.groups()
        each = ", ".join(prefix + item.strip() for item in items.split(",") if item.strip())
        text = text[: branches.start()] + each + text[branches.end() :]
    children = re.findall(r"\bmod (\w+);", text)
    starts = "|".join(["crate", "self", "super", *children])
    for words in re.findall(rf"(?<![\w:])(?:{starts})(?:\s*::\s*\w+)+", text):
        first, *rest = re.split(r"\s*::\s*", words)
        start = {"crate": (), "self": module, "super": module[:-1]}.get(first, (*module, first))
        while rest and rest[0] == "super":
            start, rest = start[:-1], rest[1:]
        yield (*start, *(word for word in rest if word != "self"))
