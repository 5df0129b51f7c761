"""The public names, read from the source by griffe, and which page is about each.

What is public is `netyard.__all__`; classes of this package that public signatures name beside it
(the collections of a host, what methods return) come with it. No list is kept here.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from markdown import anchor, span

import netyard

ERRORS = "errors.md"


class Names:
    """What is documented, and where.

    Attributes:
        classes: Public classes by name, without errors.
        errors: Public exceptions by name.
        functions: Public functions by name.
        beside: Classes that signatures of the above name, which `netyard` does not export.
        constants: Public names that are none of these.
    """

    def __init__(self, source: Path) -> None:
        self._package: Any = griffe.load("netyard", search_paths=[source])
        self.classes: dict[str, Any] = {}
        self.errors: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.constants: list[str] = []
        self.beside: dict[str, Any] = {}
        for name in netyard.__all__:
            self._sort_in(name)
        self._find_beside()
        #: Page, and fragment if it shares one, by the path of what it is about.
        self.places = {each.path: f"{ERRORS}#{anchor(name)}" for name, each in self.errors.items()}
        for name, each in {**self.classes, **self.functions, **self.beside}.items():
            self.places[each.path] = file_of(name)

    def _sort_in(self, name: str) -> None:
        found = _target(self._package.members.get(name))
        if found is None:
            # Only known at run time, such as the version.
            self.constants.append(name)
        elif found.is_function:
            self.functions[name] = found
        elif found.is_class and issubclass(getattr(netyard, name), BaseException):
            self.errors[name] = found
        elif found.is_class:
            self.classes[name] = found
        else:
            self.constants.append(name)

    def _find_beside(self) -> None:
        known = {each.path for each in {**self.classes, **self.errors}.values()}
        waiting = list(self.classes.values())
        found = {}
        while waiting:
            for each in self._named_by(waiting.pop()):
                if each.path not in known and not each.name.startswith("_"):
                    known.add(each.path)
                    found[each.name] = each
                    waiting.append(each)
        self.beside = dict(sorted(found.items()))

    def _named_by(self, found: Any) -> Iterator[Any]:
        """Classes of this package that the annotations of a class's public members name."""
        for member in public_members(found):
            notes = [member.annotation] if member.is_attribute else []
            if member.is_function:
                notes = [member.returns, *(each.annotation for each in member.parameters)]
            for name in re.findall(r"[A-Za-z_][\w.]*", " ".join(str(note) for note in notes)):
                each = self.find(name, member.module)
                if each is not None and each.is_class and each.path.startswith("netyard."):
                    yield each

    def find(self, name: str, scope: Any) -> Any:
        """What a name means to a reader of the code in a scope, or ``None``."""
        head, _, rest = name.removesuffix("()").partition(".")
        while scope is not None:
            found = _descend(_inside(scope).get(head), rest)
            if found is not None:
                return found
            scope = scope.parent
        if head == "netyard":
            return _descend(self._package, rest)
        documented = {**self.classes, **self.errors, **self.functions, **self.beside}
        return _descend(documented.get(head), rest)

    def link(self, name: str, scope: Any) -> str:
        """A link to a documented name; code for one that exists, but on no page.

        Raises:
            LookupError: if there is no such name.
        """
        found = self.find(name, scope)
        if found is None:
            if hasattr(builtins, name) or _is_imported(name, scope):
                return span(name)
            raise LookupError(f"{scope.path}: `{name}` does not exist: is it code (``{name}``)?")
        place, label = self.places.get(found.path), found.name
        if place is None and found.parent is not None and found.parent.path in self.places:
            place, label = self.places[found.parent.path], f"{found.parent.name}.{found.name}"
            if "#" not in place:
                place += f"#{anchor(found.name) if found.is_function else 'attributes'}"
        # Where it is public, no reader needs the module it is in.
        label = label if name.startswith("netyard.") else name
        return f"[{span(label)}]({place})" if place else span(name)


def public_members(found: Any) -> list[Any]:
    """Members without an underscore, those inherited from this package included, in their order."""
    named = [(name, each) for name, each in found.all_members.items() if not name.startswith("_")]
    return [target for _, each in named if (target := _target(each)) is not None]


def file_of(name: str) -> str:
    """`NetworkRequest` is in network-request.md."""
    return f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '-', name).lower()}.md"


def _is_imported(name: str, scope: Any) -> bool:
    """Whether a name is of another package that the module of a scope imports."""
    return name.partition(".")[0] in scope.module.members


def _inside(scope: Any) -> Any:
    return scope.all_members if scope.is_class else scope.members


def _descend(found: Any, rest: str) -> Any:
    found = _target(found)
    for name in filter(None, rest.split(".")):
        if found is None or not (found.is_class or found.is_module):
            return None
        found = _target(_inside(found).get(name))
    return found


def _target(found: Any) -> Any:
    """What an import leads to; ``None`` if that is in another package."""
    try:
        return found.final_target if found is not None and found.is_alias else found
    except griffe.AliasResolutionError:
        return None
