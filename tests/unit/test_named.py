"""Named tuples of `netyard.values.named` are what `typing.NamedTuple` makes, for who uses them."""

import copy
import functools
import inspect
import pickle
import typing

import pytest

from netyard.values.named import NamedTuple


class Quick(NamedTuple):
    """A port."""

    number: int
    protocol: str = "tcp"
    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As typed."""
        return f"{self.number}/{self.protocol}"


class Usual(typing.NamedTuple):
    """The same, of the standard library."""

    number: int
    protocol: str = "tcp"
    names: tuple[str, ...] = ()


CALLS: tuple[tuple[tuple[typing.Any, ...], dict[str, typing.Any]], ...] = (
    ((80,), {}),
    ((80, "udp"), {}),
    ((80, "udp", ("a",)), {}),
    ((80,), {"names": ("a",)}),
    ((), {"names": ("a",), "number": 80}),
)
WRONG: tuple[tuple[tuple[typing.Any, ...], dict[str, typing.Any]], ...] = (
    ((), {}),
    ((), {"protocol": "udp"}),
    ((80, "udp", (), 4), {}),
    ((80,), {"number": 81}),
    ((80,), {"nothing": 1}),
)


@pytest.mark.parametrize(("values", "named"), CALLS)
def test_made_as_usual(values: tuple[typing.Any, ...], named: dict[str, typing.Any]) -> None:
    """By position, by name and by default: equal, told and taken apart alike."""
    quick, usual = Quick(*values, **named), Usual(*values, **named)
    assert quick == usual
    assert hash(quick) == hash(usual)
    assert repr(quick).removeprefix("Quick") == repr(usual).removeprefix("Usual")
    assert quick._asdict() == usual._asdict()
    assert (quick.number, quick.protocol, quick.names) == tuple(usual)
    assert Quick._make(usual) == quick
    assert quick._replace(number=1) == usual._replace(number=1)
    assert quick.text == f"80/{usual.protocol}"


@pytest.mark.parametrize(("values", "named"), WRONG)
def test_refused_as_usual(values: tuple[typing.Any, ...], named: dict[str, typing.Any]) -> None:
    """A value too few, too many, twice, or for no field."""
    for kind in (Quick, Usual):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_wrong_changes_are_refused() -> None:
    """Of a field that there is not, or too few values."""
    with pytest.raises(ValueError, match="nothing"):
        Quick(1)._replace(nothing=1)
    with pytest.raises(TypeError):
        Quick._make([1])


def test_nothing_can_be_set() -> None:
    """Neither a field nor anything else."""
    port = Quick(80)
    for name in ("number", "other"):
        with pytest.raises(AttributeError):
            setattr(port, name, 1)


class Wider(Quick):
    """A subclass may remember things."""

    @functools.cached_property
    def is_low(self) -> bool:
        """Whether only root may have it."""
        return self.number < 1024


def test_a_subclass_can_keep_what_it_has_found() -> None:
    """As with the standard library it has room for attributes, and the fields of its base."""
    port = Wider(80, protocol="udp")
    assert port.is_low
    assert port == Quick(80, "udp")
    assert type(port._replace(number=81)) is Wider


def test_copies_and_help() -> None:
    """Pickled, copied, matched and asked for as any other."""
    port = Quick(80, names=("a",))
    assert pickle.loads(pickle.dumps(port)) == copy.deepcopy(port) == port
    assert type(pickle.loads(pickle.dumps(port))) is Quick
    assert inspect.signature(Quick).parameters.keys() == inspect.signature(Usual).parameters.keys()
    assert typing.get_type_hints(Quick) == typing.get_type_hints(Usual)
    match port:
        case Quick(number, protocol):
            assert (number, protocol) == (80, "tcp")
