"""The rooms of the code, and what breaks their rules: see `test_structure` for the rules in words.

Reads every import there is: nested in functions, for types only, and named by a string.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

#: From the ground up. A file imports its own room, or one of a lower level.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("errors", "_core"),
    ("values",),
    ("options",),
    ("state",),
    ("cluster", "firewall", "resolver", "runtime"),
    ("ipam", "ipc"),
    ("drivers",),
    ("endpoints", "networks", "ports"),
    ("lifecycle",),
    ("api",),
    ("agent", "demo", "diagnose"),
    ("cli",),
)
_LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
#: They hand names of the rooms on.
FACES = {"", "__main__"}

#: They compute: no kernel, no environment, no store.
PURE = (
    "values",
    "options",
    "firewall.statements",
    "firewall.steps",
    "firewall.sets",
    "firewall.elements",
    "firewall.rules",
    "firewall.isolation",
    "firewall.loopback6",
    "firewall.anti_spoofing",
)
_STORE = {"netyard.state.connection", "netyard.state.store", "netyard.state.tables"}
_IMPURE = {"netyard._core", "os", *_STORE}
#: Who may use a module that others are to leave alone.
USERS = {
    "sqlite3": {"state"},
    "subprocess": {
        "api.container_process",
        "demo.overlay",
        "demo.stage",
        "firewall.other_firewalls",
        "ipc.agent",
        "runtime.execution",
        "runtime.shim",
    },
}
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 450, 60


class House:
    """The files of a package, and what each imports."""

    def __init__(self, package: Path) -> None:
        self.files = {_name(package, path): path for path in package.rglob("*.py")}
        self.trees = {name: ast.parse(path.read_text()) for name, path in self.files.items()}

    def module(self, dotted: str) -> str | None:
        """The file that a dotted name below ``netyard`` is in; ``None`` if it is not of the package."""
        name = dotted.removeprefix("netyard").removeprefix(".")
        if not re.match(r"netyard(\.|$)", dotted):
            return None
        while name and name not in self.files and name not in _LEVELS:
            name = name.rpartition(".")[0]
        return name

    def imports(self, name: str) -> set[str]:
        """Dotted names that a file imports, of whatever package."""
        return {dotted for dotted, _ in _imported(self.trees[name])}

    def graph(self) -> dict[str, set[str]]:
        """Which files of the package each imports."""
        return {
            name: {
                module
                for dotted in self.imports(name)
                if (module := self.module(dotted)) is not None and module not in {name, *FACES}
            }
            for name in self.files
        }


def _name(package: Path, path: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = re.fullmatch(r"(netyard(?:\.\w+)+)(?::\w+)?", node.value)
            if found:
                yield found[1], node


def room_of(name: str) -> str:
    """The room of a file.

    ``errors`` and ``_core`` are one: Rust raises the classes of the one, and says by an enum of the
    other which it is to be.
    """
    room = name.partition(".")[0]
    return "errors" if room == "_core" else room


def _only_annotates(tree: ast.AST) -> bool:
    """Whether a file names ``netyard`` in annotations alone, which are strings until asked for."""
    notes: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            notes.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            notes.append(node.annotation)
    within = {id(each) for note in notes if note for each in ast.walk(note)}
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "netyard"]
    return all(id(node) in within for node in named)


def arrows_up(house: House) -> list[str]:
    """Rule 1: imports of a room that is not lower, or of a face, which is above all.

    Signatures of ``api`` may name what the face hands out, as ``netyard.Host``: that is loaded when
    annotations are evaluated, if ever, and needs no circle of files.
    """
    of_faces = [
        f"{name} imports {dotted}"
        for name in house.files
        if name not in FACES
        for dotted, node in _imported(house.trees[name])
        if house.module(dotted) in FACES and not isinstance(node, ast.Constant)
        if not (
            (dotted, room_of(name)) == ("netyard", "api") and _only_annotates(house.trees[name])
        )
    ]
    return of_faces + [
        f"{name} imports {target}"
        for name, targets in house.graph().items()
        if name not in FACES
        for target in targets
        if room_of(target) != room_of(name) and _LEVELS[room_of(target)] >= _LEVELS[room_of(name)]
    ]


def circles(house: House) -> list[str]:
    """Rule 2: files that import themselves by way of others, and those between."""
    graph: Mapping[str, set[str]] = house.graph()
    while leaves := {name for name, targets in graph.items() if not targets & set(graph)}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    return sorted(graph)


def strangers(house: House) -> list[str]:
    """Rule 3: what stands at the top and is neither a face nor a room."""
    return sorted({room_of(name) for name in house.files} - FACES - set(_LEVELS))


def impurities(house: House) -> list[str]:
    """Rule 4: pure files that can reach the kernel, the environment or the store."""
    return [
        f"{name} imports {dotted}"
        for name in house.files
        if name.startswith(tuple(f"{each}." for each in PURE)) or name in PURE
        for dotted in house.imports(name)
        if any(dotted == each or dotted.startswith(f"{each}.") for each in _IMPURE)
    ]


def intruders(house: House) -> list[str]:
    """Rule 5: users of a module that is others' to use."""
    return [
        f"{name} imports {module}"
        for name in house.files
        for module, users in USERS.items()
        if module in {dotted.partition(".")[0] for dotted in house.imports(name)}
        and not {name, room_of(name)} & users
    ]


def private_names_that_cross(house: House) -> list[str]:
    """Rule 6: underscored names of another room's files, imported or reached through the module."""
    return [found for name in house.files for found in _private_uses(house, name)]


def _private_uses(house: House, name: str) -> Iterator[str]:
    modules: dict[str, str] = {}
    for node in ast.walk(house.trees[name]):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            target = house.module(f"{node.module}.{alias.name}")
            if target is None or room_of(target) in {room_of(name), ""}:
                continue
            if alias.name.startswith("_") and alias.name != "_core":
                yield f"{name} imports {node.module}.{alias.name}"
            modules[alias.asname or alias.name] = target
    for node in ast.walk(house.trees[name]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            is_private = node.attr.startswith("_") and not node.attr.startswith("__")
            # What a named tuple has is public in spite of its name.
            if is_private and node.value.id in modules and node.attr not in ("_replace", "_fields"):
                yield f"{name} uses {modules[node.value.id]}.{node.attr}"


def oversized(house: House) -> dict[str, int]:
    """Rule 7: files and functions that are too long, and how long."""
    found = {}
    for name, path in house.files.items():
        lines = len(path.read_text().splitlines())
        if lines > MOST_LINES:
            found[name] = lines
        for node in ast.walk(house.trees[name]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MOST_LINES_OF_A_FUNCTION:
                    found[f"{name}:{node.name}"] = length
    return found


def planted(directory: Path, files: Mapping[str, str]) -> House:
    """A house of these files, for showing that a rule can be broken."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return House(directory)


def longest_way_down(house: House) -> Sequence[str]:
    """The rooms of the longest chain of imports from room to room, from the roof down."""
    below: dict[str, set[str]] = {}
    for name, targets in house.graph().items():
        if name not in FACES:
            below.setdefault(room_of(name), set()).update(map(room_of, targets))

    def way(room: str) -> list[str]:
        return [
            room,
            *max((way(each) for each in below.get(room, set()) - {room}), key=len, default=[]),
        ]

    return max((way(room) for room in below), key=len)
