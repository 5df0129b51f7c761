"""Go templates as ``docker --format`` takes them: the part people use, and nothing half.

Supported: ``{{.A.B}}``, ``{{.}}``, ``{{json .A}}``, ``{{index .A "key" 0}}``, ``{{.Label "key"}}``,
``{{range .A}}…{{else}}…{{end}}``, ``{{range $key, $value := .A}}``, ``{{if .A}}…{{else}}…{{end}}``,
``len``, ``join``, ``upper``, ``lower``, ``println``, ``eq``, ``ne``, ``not``, parentheses and
pipes. Anything else is refused before a word is printed (contract NL3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netyard.errors import Invalid

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d+)|(?P<field>(?:\$\w*)?(?:\.\w+)+)
    |(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>\w+)|(?P<mark>\(|\)|\||:=|,))""",
    re.VERBOSE,
)
_FIELD = "--format"
Scope = dict[str, Any]
Expression = Callable[[Scope], Any]
Node = Callable[[Scope], str]


def compile_template(text: str) -> Callable[[Any], str]:
    """A function from a value to text.

    Raises:
        Invalid: if it is no template of the supported kind. The function raises it for fields the
            value does not have.
    """
    # A pair of braces at a time; text and action take turns.
    parts = re.split(r"\{\{(.*?)\}\}", text, flags=re.DOTALL)
    if any("{{" in part or "}}" in part for part in parts[::2]):
        raise _wrong("an action is not closed", text)
    reader = _Reader(text, parts)
    nodes, ended_by = reader.block()
    if ended_by:
        raise _wrong(f"{{{{{ended_by}}}}} ends nothing", text)
    return lambda value: _run(nodes, {"": value, "$": value})


def unescape(text: str) -> str:
    """``\\t`` and ``\\n`` as typed in a shell."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


def fields_of(text: str) -> list[str]:
    """The first field of each action: what the columns of a table are called."""
    found = []
    for action in re.findall(r"\{\{(.*?)\}\}", text, flags=re.DOTALL):
        match = re.search(r"\.(\w+)", action)
        found.append(match[1] if match else "")
    return found


def _wrong(why: str, text: str) -> Invalid:
    return Invalid(f"{_FIELD}: {why} in template {text!r}", field=_FIELD, value=text)


def _run(nodes: Sequence[Node], scope: Scope) -> str:
    return "".join(node(scope) for node in nodes)


class _Reader:
    """Turns text and actions into nodes."""

    def __init__(self, text: str, parts: Sequence[str]) -> None:
        self._text = text
        self._parts = parts
        self._at = 0

    def block(self) -> tuple[list[Node], str]:
        """Nodes up to ``else``, ``end`` or the end of the text, and which it was."""
        nodes: list[Node] = []
        while self._at < len(self._parts):
            part, is_action = self._parts[self._at], self._at % 2 == 1
            self._at += 1
            if not is_action:
                nodes.append(_constant(part))
                continue
            word, _, rest = part.strip().strip("-").strip().partition(" ")
            if word in ("end", "else"):
                if rest.strip():
                    raise _wrong(f"{{{{{part}}}}} is not supported", self._text)
                return nodes, word
            if word in ("if", "range"):
                nodes.append(self._structure(word, rest))
            else:
                nodes.append(_printed(self._expression(part.strip().strip("-"))))
        return nodes, ""

    def _structure(self, word: str, rest: str) -> Node:
        key = value = ""
        match = re.match(r"\s*\$(\w+)(?:\s*,\s*\$(\w+))?\s*:=\s*(.*)", rest)
        if word == "range" and match:
            key, value = (match[1], match[2]) if match[2] else ("", match[1])
            rest = match[3]
        subject = self._expression(rest)
        body, ended_by = self.block()
        otherwise: list[Node] = []
        if ended_by == "else":
            otherwise, ended_by = self.block()
        if ended_by != "end":
            raise _wrong(f"{{{{{word}}}}} has no {{{{end}}}}", self._text)
        if word == "if":
            return lambda scope: _run(body if subject(scope) else otherwise, scope)
        return _range(subject, body, otherwise, key, value)

    def _expression(self, text: str) -> Expression:
        tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if not match:
                raise _wrong(f"{text!r} is not understood", self._text)
            kind = match.lastgroup or ""
            tokens.append((kind, match[kind]))
            at = match.end()
        parser = _Parser(tokens, self._text)
        found = parser.pipeline()
        if parser.rest():
            raise _wrong(f"{text!r} is not understood", self._text)
        return found


class _Parser:
    """Turns one action's tokens into an expression."""

    def __init__(self, tokens: Sequence[tuple[str, str]], text: str) -> None:
        self._tokens = list(tokens)
        self._text = text

    def rest(self) -> bool:
        """Whether anything is left over."""
        return bool(self._tokens)

    def _next_is(self, mark: str) -> bool:
        return bool(self._tokens) and self._tokens[0] == ("mark", mark)

    def pipeline(self) -> Expression:
        """``COMMAND | FUNCTION …``: what comes out of one goes last into the next."""
        found = self._command(None)
        while self._next_is("|"):
            self._tokens.pop(0)
            found = self._command(found)
        return found

    def _command(self, piped: Expression | None) -> Expression:
        if not self._tokens:
            raise _wrong("an action is empty", self._text)
        kind, word = self._tokens[0]
        arguments: list[Expression] = []
        function: Callable[..., Any] | None = None
        if kind == "word":
            self._tokens.pop(0)
            if word not in _FUNCTIONS:
                raise _wrong(f"there is no function {word!r}", self._text)
            function = _FUNCTIONS[word]
        while self._tokens and not self._next_is(")") and not self._next_is("|"):
            arguments.append(self._operand())
        if piped is not None:
            arguments.append(piped)
        if function is not None:
            return lambda scope: _call(word, function, [each(scope) for each in arguments])
        head, *others = arguments
        if not others:
            return head
        # A method of the value, as in `.Label "key"`.
        return lambda scope: _method(head(scope), [each(scope) for each in others], self._text)

    def _operand(self) -> Expression:
        kind, word = self._tokens.pop(0)
        if kind == "text":
            value: Any = word[1:-1] if word[0] == "`" else json.loads(word)
            return lambda _: value
        if kind == "number":
            return lambda _: int(word)
        if kind == "dot":
            return lambda scope: scope[""]
        if kind in ("field", "variable"):
            name, *path = word.split(".")
            return lambda scope: _walk(_variable(scope, name), path)
        if (kind, word) == ("mark", "("):
            inner = self.pipeline()
            if not self._next_is(")"):
                raise _wrong("a parenthesis is not closed", self._text)
            self._tokens.pop(0)
            if self._tokens and self._tokens[0][0] == "field":
                path = self._tokens.pop(0)[1].split(".")[1:]
                return lambda scope: _walk(inner(scope), path)
            return inner
        raise _wrong(f"{word!r} is not understood", self._text)


def _constant(text: str) -> Node:
    return lambda _: text


def _printed(expression: Expression) -> Node:
    return lambda scope: show(expression(scope))


def _range(
    subject: Expression, body: Sequence[Node], otherwise: Sequence[Node], key: str, value: str
) -> Node:
    def run(scope: Scope) -> str:
        found = subject(scope)
        pairs = (
            sorted(found.items()) if isinstance(found, Mapping) else list(enumerate(found or ()))
        )
        if not pairs:
            return _run(otherwise, scope)
        text = ""
        for each, item in pairs:
            inner = {**scope, "": item}
            if key:
                inner[f"${key}"] = each
            if value:
                inner[f"${value}"] = item
            text += _run(body, inner)
        return text

    return run


def _variable(scope: Scope, name: str) -> Any:
    if name not in scope:
        raise Invalid(f"{_FIELD}: there is no variable {name!r}", field=_FIELD)
    return scope[name]


def _walk(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, Mapping) and _is_open(value):
            return None
        else:
            known = ", ".join(sorted(value)) if isinstance(value, Mapping) else "none"
            raise Invalid(
                f"{_FIELD}: there is no field {name!r} here; there are {known}",
                field=_FIELD,
                value=name,
            )
    return value


def _is_open(value: Mapping[str, Any]) -> bool:
    """Whether a map's keys are data, as labels are, and not the fields of a structure."""
    return not all(re.fullmatch(r"[A-Z]\w*", key) for key in value) or not value


def _method(value: Any, arguments: Sequence[Any], text: str) -> Any:
    if not callable(value):
        raise _wrong("a field takes no argument", text)
    return value(*arguments)


def _call(word: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    try:
        return function(*arguments)
    except (TypeError, LookupError, ValueError) as error:
        raise Invalid(f"{_FIELD}: {word} cannot be used like this: {error}", field=_FIELD) from None


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else value[key]
    return value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": lambda value: json.dumps(value, ensure_ascii=False),
    "index": _index,
    "len": len,
    "join": lambda values, separator: separator.join(map(show, values)),
    "upper": lambda value: show(value).upper(),
    "lower": lambda value: show(value).lower(),
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "eq": lambda first, *others: first in others,
    "ne": lambda first, second: first != second,
    "not": lambda value: not value,
}


def show(value: Any) -> str:
    """A value as Go prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = " ".join(f"{key}:{show(each)}" for key, each in sorted(value.items()))
        return f"map[{inner}]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(show, value)) + "]"
    return str(value)
