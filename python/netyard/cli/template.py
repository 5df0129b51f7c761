"""Go templates as ``docker --format`` takes them: the part people use, and nothing half.

Supported: ``{{.A.B}}``, ``{{.}}``, ``{{json .A}}``, ``{{index .A "key" 0}}``, ``{{.Label "key"}}``,
``{{range .A}}…{{else}}…{{end}}``, ``{{range $key, $value := .A}}``, ``{{if .A}}…{{else}}…{{end}}``,
``len``, ``join``, ``upper``, ``lower``, ``println``, ``eq``, ``ne``, ``not``, parentheses, pipes,
and ``{{-`` and ``-}}``, which trim. Anything else is refused before a word is printed (contract
NL3).

Here a template is read; what its actions do with values is in `netyard.cli.template_values`, with
the limit on what one template may take. Reading takes time in proportion to the template's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from netyard.cli.template_values import FIELD, FUNCTIONS, Meter, call, call_method, show, walk
from netyard.errors import Invalid

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"\\]*(?:\\.[^"\\]*)*"|`[^`]*`)|(?P<number>-?[0-9]+)
    |(?P<field>(?:\$\w*)?(?:\.\w+)+)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>\w+)
    |(?P<mark>\(|\)|\||:=|,))""",
    re.VERBOSE | re.DOTALL,
)
# What is between braces; those within quotes are no end of it.
_ACTION = re.compile(r"""(?:[^"`}]+|}(?!})|"[^"\\]*(?:\\.[^"\\]*)*"|`[^`]*`)*""", re.DOTALL)
_RANGE = re.compile(r"\$(\w+)\s*(?:,\s*\$(\w+)\s*)?:=(.*)", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|.?)",
    re.DOTALL,
)
_ESCAPED = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))
# Blocks and parentheses within each other; each takes a few calls of Python's thousand.
_DEEPEST = 50
_NUMBER_MAX = 2**63


class Scope(NamedTuple):
    """What an action sees: ``.``, the variables, and what the template may still take."""

    dot: Any
    variables: Mapping[str, Any]
    meter: Meter


class Part(NamedTuple):
    """A piece of a template: text, or what stands between two pairs of braces."""

    text: str
    is_action: bool


Expression = Callable[[Scope], Any]
Node = Callable[[Scope], str]


def compile_template(text: str) -> Callable[[Any], str]:
    """A function from a value to text.

    Raises:
        Invalid: if it is no template of the supported kind. The function raises it for fields the
            value does not have, and if it would make too much.
    """
    reader = _Reader(text, _parts(text))
    nodes, ended_by = reader.block(0)
    if ended_by:
        raise _wrong(f"{{{{{ended_by}}}}} ends nothing", text)
    return lambda value: _run(nodes, Scope(value, {"$": value}, Meter()))


def unescape(text: str) -> str:
    """``\\t`` and ``\\n`` as typed in a shell."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


def fields_of(text: str) -> list[str]:
    """The first field of each action: what the columns of a table are called."""
    found = []
    for part in _parts(text):
        if part.is_action:
            match = re.search(r"\.(\w+)", part.text)
            found.append(match[1] if match else "")
    return found


def _wrong(why: str, text: str) -> Invalid:
    shown = repr(text if len(text) <= 200 else f"{text[:200]}…")
    return Invalid(f"{FIELD}: {why} in template {shown}", field=FIELD, value=text)


def _parts(text: str) -> list[Part]:
    """Texts and actions, with the white space away that an action trims."""
    found: list[Part] = []
    at, trims = 0, False
    while at < len(text):
        begin = text.find("{{", at)
        plain = text[at:] if begin < 0 else text[at:begin]
        found.append(Part(plain.lstrip() if trims else plain, is_action=False))
        if begin < 0:
            break
        body = _ACTION.match(text, begin + 2)
        at = body.end() if body else begin
        if not body or not text.startswith("}}", at):
            raise _wrong("an action is not closed", text)
        action = body[0]
        if re.match(r"-\s", action):
            action = action[1:]
            found[-1] = Part(found[-1].text.rstrip(), is_action=False)
        trims = re.search(r"\s-\Z", action[-2:]) is not None
        found.append(Part(action[:-1] if trims else action, is_action=True))
        at += 2
    return found


def _run(nodes: Sequence[Node], scope: Scope) -> str:
    scope.meter.step(len(nodes))
    return "".join([node(scope) for node in nodes])


class _Reader:
    """Turns text and actions into nodes."""

    def __init__(self, text: str, parts: Sequence[Part]) -> None:
        self._text = text
        self._parts = parts
        self._at = 0

    def block(self, depth: int) -> tuple[list[Node], str]:
        """Nodes up to ``else``, ``end`` or the end of the text, and which it was."""
        if depth > _DEEPEST:
            raise _wrong(f"blocks are nested more than {_DEEPEST} deep", self._text)
        nodes: list[Node] = []
        while self._at < len(self._parts):
            part = self._parts[self._at]
            self._at += 1
            if not part.is_action:
                nodes.append(_constant(part.text))
                continue
            begun = re.match(r"\s*(end|else|if|range)\b(.*)", part.text, re.DOTALL)
            if not begun:
                nodes.append(_printed(self._expression(part.text, depth)))
                continue
            word, rest = begun.groups()
            if word in ("if", "range"):
                nodes.append(self._structure(word, rest, depth))
                continue
            if rest.strip():
                raise _wrong(f"{{{{{part.text}}}}} is not supported", self._text)
            return nodes, word
        return nodes, ""

    def _structure(self, word: str, rest: str, depth: int) -> Node:
        key = value = ""
        match = _RANGE.match(rest.strip())
        if word == "range" and match:
            key, value = (match[1], match[2]) if match[2] else ("", match[1])
            rest = match[3]
        subject = self._expression(rest, depth)
        body, ended_by = self.block(depth + 1)
        otherwise: list[Node] = []
        if ended_by == "else":
            otherwise, ended_by = self.block(depth + 1)
        if ended_by != "end":
            raise _wrong(f"{{{{{word}}}}} has no {{{{end}}}}", self._text)
        if word == "if":
            return lambda scope: _run(body if subject(scope) else otherwise, scope)
        return _range(subject, body, otherwise, key, value)

    def _expression(self, action: str, depth: int) -> Expression:
        parser = _Parser(list(self._tokens(action.strip())), self._text, depth)
        found = parser.pipeline()
        if parser.is_more():
            raise _wrong(f"{action.strip()!r} is not understood", self._text)
        return found

    def _tokens(self, action: str) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(action):
            match = _TOKEN.match(action, at)
            if not match:
                raise _wrong(f"{action!r} is not understood", self._text)
            kind = match.lastgroup or ""
            yield kind, match[kind]
            at = match.end()


class _Parser:
    """Turns one action's tokens into an expression."""

    def __init__(self, tokens: Sequence[tuple[str, str]], text: str, depth: int) -> None:
        self._tokens = tokens
        self._text = text
        self._depth = depth
        self._at = 0

    def is_more(self) -> bool:
        """Whether anything is left over."""
        return self._at < len(self._tokens)

    def _next_is(self, *marks: str) -> bool:
        return self.is_more() and self._tokens[self._at] in [("mark", mark) for mark in marks]

    def _take(self) -> tuple[str, str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def pipeline(self) -> Expression:
        """``COMMAND | FUNCTION …``: what comes out of one goes last into the next."""
        commands = [self._command(is_first=True)]
        while self._next_is("|"):
            self._take()
            commands.append(self._command(is_first=False))
        if len(commands) == 1:
            return lambda scope: commands[0](scope, [])

        def run(scope: Scope) -> Any:
            piped: list[Any] = []
            for command in commands:
                piped = [command(scope, piped)]
            return piped[0]

        return run

    def _command(self, *, is_first: bool) -> Callable[[Scope, list[Any]], Any]:
        """What takes a scope and what is piped into it, if anything is."""
        if not self.is_more() or self._next_is("|", ")"):
            what = "an action or parenthesis is empty" if is_first else "nothing follows a pipe"
            raise _wrong(what, self._text)
        word = self._function()
        arguments: list[Expression] = []
        while self.is_more() and not self._next_is(")", "|"):
            arguments.append(self._operand())

        def values(scope: Scope, piped: list[Any]) -> list[Any]:
            scope.meter.step(len(arguments))
            return [each(scope) for each in arguments] + piped

        if word:
            return lambda scope, piped: call(scope.meter, word, values(scope, piped))
        if len(arguments) == 1 and is_first:
            return lambda scope, _: arguments[0](scope)
        # A method of the value, as in `.Label "key"`.
        return lambda scope, piped: call_method(*values(scope, piped))

    def _function(self) -> str:
        """The function that a command begins with, if it does."""
        kind, word = self._tokens[self._at]
        if kind != "word":
            return ""
        if word not in FUNCTIONS:
            raise _wrong(f"there is no function {word!r}", self._text)
        self._take()
        return word

    def _operand(self) -> Expression:
        kind, word = self._take()
        if kind in ("text", "number"):
            value = self._number(word) if kind == "number" else self._literal(word)
            return lambda _: value
        if kind == "dot":
            return lambda scope: scope.dot
        if kind in ("field", "variable"):
            name, *path = word.split(".")
            return lambda scope: walk(_variable(scope, name), path)
        if (kind, word) == ("mark", "("):
            return self._parenthesis()
        raise _wrong(f"{word!r} is not understood", self._text)

    def _parenthesis(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _wrong(f"parentheses are nested more than {_DEEPEST} deep", self._text)
        inner = self.pipeline()
        if not self._next_is(")"):
            raise _wrong("a parenthesis is not closed", self._text)
        self._take()
        self._depth -= 1
        if self.is_more() and self._tokens[self._at][0] == "field":
            path = self._take()[1].split(".")[1:]
            return lambda scope: walk(inner(scope), path)
        return inner

    def _number(self, word: str) -> int:
        found = int(word) if len(word) <= 20 else _NUMBER_MAX
        if not -_NUMBER_MAX <= found < _NUMBER_MAX:
            raise _wrong("a number has more than 64 bits", self._text)
        return found

    def _literal(self, word: str) -> str:
        if word[0] == "`":
            return word[1:-1]
        return _ESCAPE.sub(self._unescaped, word[1:-1])

    def _unescaped(self, match: re.Match[str]) -> str:
        letter, *codes, octal = match.groups()
        if letter:
            return _ESCAPED[letter]
        digits = next((code for code in codes if code), "")
        code = int(octal, 8) if octal else int(digits or "110000", 16)
        # Of halves of surrogate pairs there is no text.
        if code > (0xFF if octal else 0x10FFFF) or 0xD800 <= code < 0xE000:
            raise _wrong(f"{match[0]!r} is no escape", self._text)
        return chr(code)


def _constant(text: str) -> Node:
    def node(scope: Scope) -> str:
        scope.meter.spend(len(text))
        return text

    return node


def _printed(expression: Expression) -> Node:
    return lambda scope: show(scope.meter, expression(scope))


def _range(
    subject: Expression, body: Sequence[Node], otherwise: Sequence[Node], key: str, value: str
) -> Node:
    def run(scope: Scope) -> str:
        found = subject(scope)
        if found is not None and not isinstance(found, Mapping | list | tuple):
            raise Invalid(f"{FIELD}: range goes over lists and maps, and here is neither")
        pairs = (
            sorted(found.items()) if isinstance(found, Mapping) else list(enumerate(found or ()))
        )
        if not pairs:
            return _run(otherwise, scope)
        lines = []
        # Beside what is done with each, a scope for it is made.
        scope.meter.step(2 * len(pairs))
        for each, item in pairs:
            inner = dict(scope.variables)
            if key:
                inner[f"${key}"] = each
            if value:
                inner[f"${value}"] = item
            lines.append(_run(body, Scope(item, inner, scope.meter)))
        return "".join(lines)

    return run


def _variable(scope: Scope, name: str) -> Any:
    if not name:
        return scope.dot
    if name not in scope.variables:
        raise Invalid(f"{FIELD}: there is no variable {name!r}", field=FIELD)
    return scope.variables[name]
