"""Regular expressions of filters, matched in time that grows with the pattern and the text only.

Python's `re` tries one way after the other: a pattern such as ``(a+)+$`` keeps it for hours. Here
all ways are followed at once (Thompson's construction), as in Docker's filters. There is what those
have and people use: ``.``, ``[…]``, ``\\d``, ``\\w``, ``\\s``, ``^``, ``$``, ``( )``, ``(?: )``,
``|``,
``*``, ``+``, ``?``, ``{m,n}``; no references back, and no looking around.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

_SPECIAL = set("\\.[]()|*+?{}^$")
_COUNTS = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{0,4}))?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_MOST_COUNT, _MOST_STEPS, _DEEPEST = 1000, 1000, 50

#: How a match goes on: ``char`` takes one that fits, ``split`` goes two ways, the others take none.
Step = tuple[str, object, int]


class Wrong(ValueError):
    """It is no pattern; the text says why."""


class _Node(NamedTuple):
    kind: str
    value: object = None
    inner: Sequence[_Node] = ()
    least: int = 0
    most: int | None = None


def search(pattern: str, text: str) -> bool:
    """Whether a pattern is found anywhere in a text.

    Raises:
        Wrong: if it is no pattern.
    """
    if not _SPECIAL & set(pattern):
        return pattern in text
    return _found(_program(pattern), text)


def _found(program: Sequence[Step], text: str) -> bool:
    present: set[int] = set()
    for at in range(len(text) + 1):
        _follow(program, 0, at, text, present)
        if len(program) in present:
            return True
        following: set[int] = set()
        for number in present:
            kind, fits, _ = program[number]
            if kind == "char" and at < len(text) and fits(text[at]):  # type: ignore[operator]
                _follow(program, number + 1, at + 1, text, following)
        present = following
    return False


def _follow(program: Sequence[Step], begin: int, at: int, text: str, found: set[int]) -> None:
    """Add where a match can be from a step on, without taking a character."""
    waiting = [begin]
    while waiting:
        number = waiting.pop()
        if number in found:
            continue
        found.add(number)
        if number == len(program):
            continue
        kind, _, target = program[number]
        if kind in ("split", "jump"):
            waiting.append(target)
        is_there = {"begin": at == 0, "end": at == len(text)}.get(kind, kind == "split")
        if is_there:
            waiting.append(number + 1)


@lru_cache(maxsize=16)
def _program(pattern: str) -> Sequence[Step]:
    if len(pattern) > _MOST_STEPS:
        raise Wrong(f"it is longer than {_MOST_STEPS} characters")
    reader = _Reader(pattern)
    node = reader.alternatives(0)
    if reader.at < len(pattern):
        raise Wrong("there is no '(' for a ')'")
    return _Program(node).steps


class _Reader:
    """Turns a pattern into nodes."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def _next_is(self, letter: str) -> bool:
        return self._pattern.startswith(letter, self.at)

    def alternatives(self, depth: int) -> _Node:
        """``a|b|c``, up to the end or a ``)``."""
        if depth > _DEEPEST:
            raise Wrong(f"parentheses are nested more than {_DEEPEST} deep")
        found = [self._sequence(depth)]
        while self._next_is("|"):
            self.at += 1
            found.append(self._sequence(depth))
        return _Node("either", inner=found)

    def _sequence(self, depth: int) -> _Node:
        found: list[_Node] = []
        while self.at < len(self._pattern) and self._pattern[self.at] not in "|)":
            found.append(self._repeated(self._atom(depth)))
        return _Node("all", inner=found)

    def _repeated(self, node: _Node) -> _Node:
        least = 1
        most: int | None = 1
        counts = _COUNTS.match(self._pattern, self.at)
        letter = self._pattern[self.at : self.at + 1]
        if letter and letter in "*+?":
            self.at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[letter]
        elif counts:
            self.at = counts.end()
            least = int(counts[1])
            most = least if not counts[2] else int(counts[3]) if counts[3] else None
            if max(least, most or 0) > _MOST_COUNT or (most is not None and most < least):
                raise Wrong(f"{counts[0]} repeats in no way that is possible")
        else:
            return node
        # As few as possible is as many as possible where only asked whether there is a match.
        self.at += self._next_is("?")
        if node.kind in ("begin", "end"):
            raise Wrong("the beginning and the end cannot be repeated")
        if self._is_repetition():
            raise Wrong("there are two repetitions of one thing")
        return _Node("repeat", inner=[node], least=least, most=most)

    def _is_repetition(self) -> bool:
        counts = _COUNTS.match(self._pattern, self.at) is not None
        return counts or any(self._next_is(letter) for letter in "*+?")

    def _atom(self, depth: int) -> _Node:
        letter = self._pattern[self.at]
        if self._is_repetition():
            raise Wrong(f"there is nothing for {letter!r} to repeat")
        if letter == "[":
            return self._class()
        self.at += 1
        if letter == "(":
            return self._group(depth)
        if letter == "\\":
            return self._escape()
        if letter in "^$":
            return _Node("begin" if letter == "^" else "end")
        return _Node("char", (lambda each: each != "\n") if letter == "." else letter.__eq__)

    def _group(self, depth: int) -> _Node:
        if self._next_is("?:"):
            self.at += 2
        elif self._next_is("?"):
            raise Wrong("'(?' goes on with ':' only")
        node = self.alternatives(depth + 1)
        if not self._next_is(")"):
            raise Wrong("a parenthesis is not closed")
        self.at += 1
        return node

    def _class(self) -> _Node:
        found = _CLASS.match(self._pattern, self.at)
        if not found:
            raise Wrong("a bracket is not closed")
        self.at = found.end()
        return _Node("char", _one_of(found[0]))

    def _escape(self) -> _Node:
        letter = self._pattern[self.at : self.at + 1]
        self.at += 1
        if letter and letter in "dDwWsS":
            return _Node("char", _one_of(f"\\{letter}"))
        if not letter or letter.isalnum():
            raise Wrong(f"'\\{letter}' means nothing")
        return _Node("char", letter.__eq__)


def _one_of(written: str) -> Callable[[str], object]:
    try:
        with warnings.catch_warnings():
            # Of what a later Python might take for a set of sets.
            warnings.simplefilter("ignore")
            # Of one character, which takes no time.
            return re.compile(written).fullmatch
    except re.error as error:
        raise Wrong(str(error)) from error


class _Program:
    """Turns nodes into steps."""

    def __init__(self, node: _Node) -> None:
        self.steps: list[Step] = []
        self._nodes = 0
        self._add(node)

    def _add(self, node: _Node) -> None:
        self._nodes += 1
        if max(self._nodes, len(self.steps)) > _MOST_STEPS:
            raise Wrong("it is too long, or repeats too much")
        if node.kind == "all":
            for each in node.inner:
                self._add(each)
        elif node.kind == "either":
            self._add_either(node.inner)
        elif node.kind == "repeat":
            self._add_repeat(node.inner[0], node.least, node.most)
        else:
            self.steps.append((node.kind, node.value, 0))

    def _add_either(self, nodes: Sequence[_Node]) -> None:
        jumps = []
        for each in nodes[:-1]:
            split = self._put("split")
            self._add(each)
            jumps.append(self._put("jump"))
            self._aim(split)
        self._add(nodes[-1])
        for jump in jumps:
            self._aim(jump)

    def _add_repeat(self, node: _Node, least: int, most: int | None) -> None:
        for _ in range(least):
            self._add(node)
        if most is None:
            split = self._put("split")
            self._add(node)
            self.steps.append(("jump", None, split))
            self._aim(split)
            return
        splits = []
        for _ in range(most - least):
            splits.append(self._put("split"))
            self._add(node)
        for begun in splits:
            self._aim(begun)

    def _put(self, kind: str) -> int:
        self.steps.append((kind, None, 0))
        return len(self.steps) - 1

    def _aim(self, number: int) -> None:
        """Have a step go to where the next one will be."""
        self.steps[number] = (self.steps[number][0], None, len(self.steps))
