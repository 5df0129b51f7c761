"""Named tuples that are quick to make: a command makes some forty of these classes each time.

`typing.NamedTuple` compiles a constructor and looks at each annotation, which takes 0.2 ms and more
a class; as `NamedTuple` here takes a tenth of that, and is the same to who uses it and to type
checkers. What is not on the way of commands has no need of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 14):
    # There annotations are not to be had when the class is made.
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter
    from collections.abc import Iterable, Mapping

    _new = tuple.__new__

    class _Maker(type):
        """Makes fields of annotations, as `typing.NamedTuple` does."""

        def __new__(mcls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = tuple(body.get("__annotations__", ()))
            if fields:
                body["_field_defaults"] = {each: body[each] for each in fields if each in body}
                body["_fields"] = body["__match_args__"] = fields
                for index, each in enumerate(fields):
                    body[each] = _tuplegetter(index, "")
                body["__slots__"] = ()
            return super().__new__(mcls, name, bases, body)

        @property
        def __signature__(cls) -> Any:
            """What the class is called with, for `help`."""
            from inspect import Parameter, Signature

            kind = Parameter.POSITIONAL_OR_KEYWORD
            return Signature(
                [
                    Parameter(each, kind, default=cls._field_defaults.get(each, Parameter.empty))
                    for each in cls._fields
                ]
            )

    class NamedTuple(tuple, metaclass=_Maker):
        """A tuple whose items have names; see `typing.NamedTuple`."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}  # noqa: RUF012

        def __new__(cls, *values: Any, **named: Any) -> Any:
            """Values in order, or by name; the rest by default."""
            if named or len(values) != len(cls._fields):
                values = cls._completed(values, named)
            return _new(cls, values)

        @classmethod
        def _completed(cls, values: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
            found, defaults = [*values], cls._field_defaults
            try:
                for each in cls._fields[len(values) :]:
                    found.append(named.pop(each) if each in named else defaults[each])
            except KeyError as error:
                raise TypeError(f"{cls.__name__}: {error.args[0]!r} is missing") from None
            if named:
                what = f"no field {next(iter(named))!r}, or it is given twice"
                raise TypeError(f"{cls.__name__}: {what}")
            if len(found) > len(cls._fields):
                raise TypeError(f"{cls.__name__}: takes {len(cls._fields)} values")
            return found

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Any:
            """One of values in order, all of them."""
            made = _new(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{cls.__name__}: takes {len(cls._fields)} values")
            return made

        def _replace(self, **changes: Any) -> Any:
            """The same with other values for some fields."""
            made = _new(type(self), map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"{type(self).__name__}: no field {next(iter(changes))!r}")
            return made

        def _asdict(self) -> Mapping[str, Any]:
            """The values by the names of their fields."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            """The call that makes it."""
            values = ", ".join(f"{k}={v!r}" for k, v in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            """For copies and pickles."""
            return tuple(self)
