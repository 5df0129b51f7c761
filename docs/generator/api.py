"""A page for each public name: signature, docstring, members. Errors share one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import griffe
from markdown import Gaps, Pages, anchor, code, from_docstring, page, span, table
from names import ERRORS, Names, file_of, public_members

import netyard

# Annotations name public classes by the package: `netyard.Host`.
_PACKAGE = re.compile(r"\bnetyard\.(?:\w+\.)*")
_WIDTH = 88
_STARS = {"variadic positional": "*", "variadic keyword": "**"}
_MARKS = {"classmethod": "Class method.", "contextmanager": "To be used in a `with` statement."}


def pages(source: Path, gaps: Gaps) -> Pages:
    """The pages of all public names, and their index.

    Raises:
        LookupError: if a docstring refers to a name that does not exist, explains a parameter that
            its function does not have, or has a section these pages have no form for.
    """
    return _Writer(Names(source), gaps).pages()


class _Writer:
    def __init__(self, names: Names, gaps: Gaps) -> None:
        self._names = names
        self._gaps = gaps

    def pages(self) -> Pages:
        """All of them, by path."""
        names = self._names
        made = {}
        for name, each in {**names.classes, **names.beside}.items():
            title = f"netyard.{name}" if name in names.classes else name
            made[f"api/{file_of(name)}"] = page(title, self._class(name, each))
        for name, each in names.functions.items():
            made[f"api/{file_of(name)}"] = page(f"netyard.{name}", self._function(name, each))
        made[f"api/{ERRORS}"] = page("Errors", self._errors())
        made["api/README.md"] = page("Python API", self._index())
        return made

    # -- pages --------------------------------------------------------------------------------

    def _index(self) -> Iterator[str]:
        names = self._names
        heads = ["name", "what it is"]
        yield (
            "What `netyard` offers to programs. Any other module may change without notice, except "
            "`netyard.errors` and `netyard.drivers.kit` ([for drivers](../../drivers.md))."
        )
        yield table(heads, self._rows({**names.classes, **names.functions}))
        yield "## Errors\n\n" + table(heads, self._rows(names.errors))
        yield "## Types named by these"
        yield "Obtained from the above, as `Host().networks` is; `netyard` does not export them."
        yield table(heads, self._rows(names.beside))
        yield "## Constants"
        constants = [
            (span(name), span(type(getattr(netyard, name)).__name__)) for name in names.constants
        ]
        yield table(["name", "type"], constants)

    def _rows(self, found: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for name, each in found.items():
            yield f"[{span(name)}]({self._names.places[each.path]})", self._summary(each)

    def _errors(self) -> Iterator[str]:
        errors = self._names.errors
        module = next(iter(errors.values())).module
        yield self._text(module.docstring.value, module)
        for name, each in errors.items():
            bases = ", ".join(self._names.link(str(base), each.module) for base in each.bases)
            yield f"## {name}"
            yield f"A kind of {bases}."
            yield from self._docstring(each)

    def _class(self, name: str, found: Any) -> Iterator[str]:
        if _has(found, "parameters"):
            yield code(_call(name, self._words(_constructor(found)), ""), "python")
        elif _is_tuple(found):
            yield code(_call(name, self._fields(found), ""), "python")
        yield from self._described(
            found, _constructor(found) if _has(found, "parameters") else None
        )
        attributes = table(["name", "type", "meaning"], self._attributes(found))
        yield f"## Attributes\n\n{attributes}" if attributes else ""
        methods = [each for each in public_members(found) if each.is_function]
        if methods:
            yield "## Methods"
            rows = [(f"[{span(m.name)}](#{anchor(m.name)})", self._summary(m)) for m in methods]
            yield table(["method", "what it does"], rows)
        for each in methods:
            yield f"### {each.name}"
            yield from self._function(each.name, each)

    def _function(self, name: str, found: Any) -> Iterator[str]:
        returns = f" -> {_written(found.returns)}" if found.returns else ""
        yield code(_call(name, self._words(found), returns), "python")
        marks = {*found.labels, *(str(each.value) for each in found.decorators)}
        yield " ".join(text for mark, text in _MARKS.items() if mark in marks)
        if not found.docstring:
            self._gaps.note(found.path, "no docstring")
        yield from self._described(found, found)

    # -- docstrings ---------------------------------------------------------------------------

    def _described(self, found: Any, function: Any) -> Iterator[str]:
        """A docstring, with the parameters of a function between its prose and its sections."""
        parts = list(self._docstring(found))
        prose = sum(each.kind.value == "text" for each in _sections(found))
        yield from parts[:prose]
        if function is not None:
            yield self._parameters(found, function)
            yield self._returned(found, function)
        yield from parts[prose:]

    def _returned(self, documented: Any, function: Any) -> str:
        """What a function returns: links where there is a page about it, and what is said of it."""
        names = re.findall(r"[A-Za-z_][\w.]*", str(function.returns or ""))
        found = [self._type(name, function.module) for name in dict.fromkeys(names)]
        linked = [each for each in found if each.startswith("[")]
        said = [
            self._text(each.description, documented)
            for section in _sections(documented)
            if section.kind.value in ("returns", "yields")
            for each in section.value
        ]
        parts = [", ".join(linked), *said]
        return f"Returns: {'. '.join(filter(None, parts))}" if any(parts) else ""

    def _docstring(self, found: Any) -> Iterator[str]:
        for section in _sections(found):
            kind = section.kind.value
            if kind == "text":
                yield self._text(section.value, found)
            elif kind == "raises":
                yield "Raises:"
                rows = [
                    (self._raised(each, found), self._text(each.description, found))
                    for each in section.value
                ]
                yield table(["error", "when"], rows)
            elif kind == "admonition" and section.value.kind == "example":
                yield "Example:"
                yield code(section.value.contents, "pycon")
            elif kind == "attributes" and found.name in self._names.errors:
                said = self._said(found, kind).items()
                yield table(["attribute", "meaning"], [(span(name), text) for name, text in said])
            elif kind not in ("parameters", "attributes", "returns", "yields"):
                raise LookupError(f"{found.path}: pages have no form for a section {kind!r}")

    def _attributes(self, found: Any) -> Iterator[tuple[str, str, str]]:
        """Properties, and fields with what the docstring of the class says of them."""
        said = self._said(found, "attributes")
        for each in public_members(found):
            if each.is_attribute:
                text = said.get(each.name, "")
                if each.docstring:
                    text = self._text(re.split(r"\n+Raises:\n", each.docstring.value)[0], each)
                if not text:
                    self._gaps.note(each.path, "no description")
                yield span(each.name), self._type(each.annotation, each.module), text

    def _parameters(self, found: Any, function: Any) -> str:
        """The table of parameters: from the signature, explained by the docstring."""
        said = self._said(found, "parameters")
        taken = [each for each in function.parameters if each.name not in ("self", "cls")]
        for name in said.keys() - {each.name for each in taken}:
            raise LookupError(
                f"{found.path}: its docstring explains {name!r}, which is no parameter"
            )
        rows = []
        for each in taken:
            if each.name not in said:
                self._gaps.note(found.path, f"parameter {each.name!r} is not explained")
            star = _STARS.get(each.kind.value, "")
            default = (
                ""
                if each.default is None or star
                else span(self._default(each.default, function.module))
            )
            note = self._type(each.annotation, function.module)
            rows.append((span(star + each.name), note, default, said.get(each.name, "")))
        return table(["parameter", "type", "default", "meaning"], rows)

    def _fields(self, found: Any) -> list[str]:
        """The fields of a named tuple as parameters."""
        fields = [each for each in public_members(found) if each.is_attribute]
        return [
            f"{each.name}: {_written(each.annotation)}"
            + (f" = {self._default(each.value, each.module)}" if each.value is not None else "")
            for each in fields
            if "property" not in each.labels
        ]

    def _words(self, function: Any) -> Iterator[str]:
        """Parameters as they are written, a lone star where keywords begin."""
        has_star = False
        for each in function.parameters:
            if each.name in ("self", "cls"):
                continue
            kind = each.kind.value
            if kind == "keyword-only" and not has_star:
                yield "*"
            has_star = has_star or kind in ("keyword-only", "variadic positional")
            star = _STARS.get(kind, "")
            note = f": {_written(each.annotation)}" if each.annotation else ""
            default = (
                f" = {self._default(each.default, function.module)}"
                if each.default is not None and not star
                else ""
            )
            yield f"{star}{each.name}{note}{default}"

    def _default(self, value: Any, scope: Any) -> str:
        """A default as it is written; of a constant of a module what that is."""
        text = str(value)
        found = self._names.find(text, scope) if text.isidentifier() else None
        if found is None or not found.is_attribute or found.value is None:
            return text
        return str(found.value)

    def _said(self, found: Any, kind: str) -> dict[str, str]:
        """What a section says, by name; ``a, b: text`` is about both."""
        sections = [each for each in _sections(found) if each.kind.value == kind]
        return {
            name.strip(" *"): self._text(each.description, found)
            for section in sections
            for each in section.value
            for name in each.name.split(",")
        }

    def _type(self, annotation: Any, scope: Any) -> str:
        """An annotation as code, with a link if there is a page about just that."""
        text = str(annotation) if annotation else ""
        # Keywords of a `TypedDict` are on its page.
        name = re.fullmatch(r"(?:Unpack\[)?([\w.]+)\]?", text)
        found = self._names.find(name[1], scope) if name else None
        place = self._names.places.get(found.path) if found is not None else None
        text = _written(text)
        return f"[{span(text)}]({place})" if place else text and span(text)

    def _raised(self, raised: Any, found: Any) -> str:
        names = re.findall(r"[\w.]+", str(raised.annotation))
        return ", ".join(self._names.link(name, found) for name in names)

    def _summary(self, found: Any) -> str:
        text = found.docstring.value if found.docstring else ""
        return self._text(text.strip().partition("\n\n")[0], found)

    def _text(self, text: str, found: Any) -> str:
        for name in re.findall(r"(?<!`)`netyard\.([\w.]+)`", text):
            if name.partition(".")[0] not in netyard.__all__:
                self._gaps.note(found.path, f"names the private netyard.{name}")
        return from_docstring(text, lambda name: self._names.link(name, found))


def _sections(found: Any) -> list[Any]:
    if found.docstring is None:
        return []
    return griffe.parse_google(found.docstring, warnings=False, returns_multiple_items=False)


def _written(annotation: Any) -> str:
    """An annotation as readers write it, who have imported the names."""
    return _PACKAGE.sub("", str(annotation))


def _has(found: Any, kind: str) -> bool:
    return any(each.kind.value == kind for each in _sections(found))


def _constructor(found: Any) -> Any:
    return found.all_members["__init__"]


def _is_tuple(found: Any) -> bool:
    return any(str(base) == "NamedTuple" for base in found.bases)


def _call(name: str, words: Iterable[str], returns: str) -> str:
    """A signature on one line, or one line for each parameter."""
    listed = list(words)
    line = f"{name}({', '.join(listed)}){returns}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {word}," for word in listed), f"){returns}"])
