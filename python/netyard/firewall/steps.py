"""What a transaction of nf_tables is made of: a value type a step.

`netyard._core` takes steps, and the statements of rules (`netyard.firewall.statements`), as the
tuples they are: the verb by which each is known there (``rust/py/src/firewall.rs``), then its
fields. They are no named tuples: to make such a class takes a tenth of a millisecond, and every
command would pay for all.
"""

from collections.abc import Sequence
from typing import Any, Literal

from netyard.values.named import NamedTuple

ChainType = Literal["filter", "nat"]
Hook = Literal["prerouting", "input", "forward", "output", "postrouting", "ingress"]
# Key, data, comment, and how many there are in a row.
Element = tuple[Any, Any, str | None, int]


class SetSpec(NamedTuple):
    """A set or map, in ``nft``'s type names."""

    name: str
    key: Sequence[str]
    data: Sequence[str] | None = None


class _Value(tuple[Any, ...]):
    """A verb and its fields."""

    __slots__ = ()

    @property
    def verb(self) -> str:
        """What it does, or asks."""
        return str(self[0])


class Statement(_Value):
    """Something that a rule asks of a packet, or does with it."""

    __slots__ = ()


class Step(_Value):
    """Something that a transaction does to a table."""

    __slots__ = ()


class AddTable(Step):
    """Make the table, if it is missing."""

    __slots__ = ()

    def __new__(cls) -> "AddTable":
        return tuple.__new__(cls, ("add table",))


class DeleteTable(Step):
    """Delete the table with all that is in it."""

    __slots__ = ()

    def __new__(cls) -> "DeleteTable":
        return tuple.__new__(cls, ("delete table",))


class AddChain(Step):
    """Make a chain at a hook; ``device`` is for ``ingress`` only."""

    __slots__ = ()

    def __new__(
        cls, name: str, kind: ChainType, hook: Hook, priority: int, device: str | None
    ) -> "AddChain":
        return tuple.__new__(cls, ("add chain", name, kind, hook, priority, device))


class AddRegularChain(Step):
    """Make a chain that is jumped to."""

    __slots__ = ()

    def __new__(cls, name: str) -> "AddRegularChain":
        return tuple.__new__(cls, ("add regular chain", name))


class DeleteChain(Step):
    """Delete a chain."""

    __slots__ = ()

    def __new__(cls, name: str) -> "DeleteChain":
        return tuple.__new__(cls, ("delete chain", name))


class FlushChain(Step):
    """Delete the rules of a chain."""

    __slots__ = ()

    def __new__(cls, name: str) -> "FlushChain":
        return tuple.__new__(cls, ("flush chain", name))


class AddSet(Step):
    """Make a set or map."""

    __slots__ = ()

    def __new__(cls, set: SetSpec) -> "AddSet":
        return tuple.__new__(cls, ("add set", set))


class AddRule(Step):
    """Append a rule."""

    __slots__ = ()

    def __new__(cls, chain: str, statements: Sequence[Statement], comment: str | None) -> "AddRule":
        return tuple.__new__(cls, ("add rule", chain, statements, comment))

    @property
    def chain(self) -> str:
        """The chain it is of."""
        return str(self[1])

    @property
    def statements(self) -> Sequence[Statement]:
        """What it asks and does, in order."""
        found: Sequence[Statement] = self[2]
        return found

    @property
    def comment(self) -> str:
        """What it says of itself."""
        return self[3] or ""


class AddElements(Step):
    """Put elements into a set or map."""

    __slots__ = ()

    def __new__(cls, set: SetSpec, elements: Sequence[Element]) -> "AddElements":
        return tuple.__new__(cls, ("add elements", set, elements))


class DeleteElements(Step):
    """Take elements out of a set or map."""

    __slots__ = ()

    def __new__(cls, set: SetSpec, elements: Sequence[Element]) -> "DeleteElements":
        return tuple.__new__(cls, ("delete elements", set, elements))
