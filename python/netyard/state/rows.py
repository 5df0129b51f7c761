"""Rows of tables, and the records made of them: remembered by the rows they were made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from netyard.errors import StoreError

_Record = TypeVar("_Record")
# Rows kept however few there are.
_LEAST = 256


#: What comes of values that are not as they were recorded.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
LOST_HINT = "`netyard repair --from-kernel` shows what there is of it, and takes it away"


def damaged(what: object) -> StoreError:
    """The complaint of a row of which no record can be made."""
    return StoreError(
        f"the store is damaged: what it has of {what!r} cannot be read", hint=LOST_HINT
    )


def named(columns: str, row: Sequence[Any]) -> dict[str, Any]:
    """The values of a row by the names of its columns, which are given as in SQL."""
    return dict(zip(columns.split(", "), row, strict=True))


def values_of(record: object, columns: str) -> tuple[Any, ...]:
    """What of a record goes into columns, which are called as its fields are."""
    return tuple(getattr(record, column) for column in columns.split(", "))


class RowCache(Generic[_Record]):
    """What makes records of rows, and the records it has made.

    A row of which no record can be made is a `StoreError`.

    The same rows are read again and again, and records do not change once they are made. There is
    room for as many as the table has rows, and as many again, so that going through all of them
    finds all; a process that lives for days does not keep those of all there has ever been.

    Args:
        make: Makes a record of what is given to `__call__`, which is hashable.
        count: How many rows there are; asked when there is no more room.
    """

    def __init__(self, make: Callable[..., _Record], count: Callable[[], int]) -> None:
        self._make, self._count = make, count
        self._known: dict[tuple[Any, ...], _Record] = {}
        self._room = _LEAST

    def __call__(self, *row: Any) -> _Record:
        record = self._known.get(row)
        if record is None:
            if len(self._known) >= self._room:
                self._make_room()
            record = self._known[row] = self._made(row)
        return record

    def _made(self, row: tuple[Any, ...]) -> _Record:
        try:
            return self._make(*row)
        except UNREADABLE as error:
            # Rows are given whole or in their values, and begin with what names them.
            values = row[0] if isinstance(row[0], tuple) else row
            raise damaged(values[0]) from error

    def _make_room(self) -> None:
        self._room = max(_LEAST, 2 * self._count())
        if len(self._known) >= self._room:
            self._known.clear()
