"""Ids that a container has on its host: what ``--userns auto`` asks for, ranges of ``/etc/subuid``,
and maps, of users and groups.

Nothing of the host is looked at: files are read and ranges are chosen by
`netyard.lifecycle.user_ranges`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, NoReturn

from netyard.errors import Invalid

#: Podman's word for whose ranges they are.
OWNER = "containers"
#: As many ids as the files of nearly all systems have: ``nobody`` is 65534.
DEFAULT_SIZE = 65_536
# The highest number is -1 to setresuid(2): no id.
_IDS = 2**32 - 1
# Of the 340 lines that a map may have, each of these costs two.
_MOST_FORCED = 100
_NUMBER = "[0-9]{1,10}"
_KEYS = ("size", "uidmapping", "gidmapping")
_GROUP_OF_TERMINALS = 5


class Extent(NamedTuple):
    """Ids in a row.

    Attributes:
        inside: The first in the container.
        outside: The first on the host.
        length: How many.
    """

    inside: int
    outside: int
    length: int

    @property
    def shown(self) -> str:
        """As Podman shows it, and as ``uidmapping`` takes it."""
        return f"{self.inside}:{self.outside}:{self.length}"


class Span(NamedTuple):
    """Ids of the host in a row: the first, and the one behind the last."""

    first: int
    end: int


class Wish(NamedTuple):
    """What ``--userns auto`` asks for.

    Attributes:
        size: How many ids the container has.
        uids: Which users of it are to be which of the host.
        gids: The same of groups.
    """

    size: int = DEFAULT_SIZE
    uids: Sequence[Extent] = ()
    gids: Sequence[Extent] = ()


class IdMap(NamedTuple):
    """Which ids of the host those of a container are."""

    uids: tuple[Extent, ...]
    gids: tuple[Extent, ...]

    def to_json(self) -> str:
        """As the store keeps it."""
        return json.dumps([self.uids, self.gids])

    @classmethod
    def from_json(cls, text: str) -> "IdMap":
        """Read what `to_json` wrote."""
        uids, gids = json.loads(text)
        return cls(tuple(Extent(*each) for each in uids), tuple(Extent(*each) for each in gids))

    @classmethod
    def of(cls, text: str) -> "IdMap | None":
        """The same of a container, which has the host's ids if there is no text."""
        return cls.from_json(text) if text else None

    @property
    def lines(self) -> tuple[str, str]:
        """The maps of users and groups as the kernel takes them."""
        return _lines(self.uids), _lines(self.gids)

    def uid(self, inside: int) -> int | None:
        """A user on the host; ``None`` if the container has none of that number."""
        return _outside(self.uids, inside)

    def gid(self, inside: int) -> int | None:
        """A group on the host; ``None`` if the container has none of that number."""
        return _outside(self.gids, inside)

    @property
    def root(self) -> tuple[int, int]:
        """User and group on the host of the container's root."""
        return self.uid(0) or 0, self.gid(0) or 0

    @property
    def terminals(self) -> int:
        """The group on the host that the container's terminals belong to."""
        return self.gid(_GROUP_OF_TERMINALS) or self.root[1]


def _lines(extents: Iterable[Extent]) -> str:
    return "".join(f"{each.inside} {each.outside} {each.length}\n" for each in extents)


def _outside(extents: Iterable[Extent], inside: int) -> int | None:
    for each in extents:
        if each.inside <= inside < each.inside + each.length:
            return each.outside + inside - each.inside
    return None


# -- what is typed ------------------------------------------------------------------------------


def parse_auto(text: str) -> Wish:
    """``auto`` or ``auto:size=N,uidmapping=CONTAINER:HOST:COUNT,gidmapping=…``.

    Raises:
        Invalid: for an option that is none, or a value that cannot be.
    """
    size, forced = DEFAULT_SIZE, {"uidmapping": list[Extent](), "gidmapping": list[Extent]()}
    options = text.partition(":")[2] if ":" in text else None
    for word in () if options is None else options.split(","):
        key, separator, value = word.partition("=")
        if not separator or key not in _KEYS:
            _refuse(text, f"has the option {word!r}, which must be one of {', '.join(_KEYS)}, '='")
        if key == "size":
            size = _size(text, value)
        else:
            forced[key].append(_extent(text, key, value))
    for key, extents in forced.items():
        _check_forced(text, key, extents, size)
    return Wish(size, tuple(sorted(forced["uidmapping"])), tuple(sorted(forced["gidmapping"])))


def _refuse(text: str, what: str) -> NoReturn:
    raise Invalid(f"--userns: {text!r} {what}", field="--userns", value=text)


def _size(text: str, value: str) -> int:
    if not re.fullmatch(_NUMBER, value) or not 0 < int(value) <= _IDS:
        _refuse(text, f"has size={value}, which must be a number from 1 to {_IDS}")
    return int(value)


def _extent(text: str, key: str, value: str) -> Extent:
    numbers = value.split(":")
    if len(numbers) != 3 or not all(re.fullmatch(_NUMBER, each) for each in numbers):
        _refuse(text, f"has {key}={value}, which must be CONTAINER:HOST:COUNT, three numbers")
    found = Extent(*map(int, numbers))
    if not found.length or max(found.inside, found.outside) + found.length > _IDS:
        _refuse(text, f"has {key}={value}: ids are numbers from 0 to {_IDS - 1}, at least one")
    return found


def _check_forced(text: str, key: str, extents: Sequence[Extent], size: int) -> None:
    if len(extents) > _MOST_FORCED:
        _refuse(text[:60], f"has {key} {len(extents)} times, and may have it {_MOST_FORCED} times")
    for each in extents:
        if each.inside + each.length > size:
            _refuse(text, f"has {key}={each.shown}, and the container has only {size} ids")
    for side in ("inside", "outside"):
        spans = sorted((getattr(each, side), each.length) for each in extents)
        for (first, length), (after, _) in pairwise(spans):
            if first + length > after:
                where = "container" if side == "inside" else "host"
                _refuse(text, f"has id {after} of the {where} in {key} twice")


# -- what is there ------------------------------------------------------------------------------


def parse_ranges(text: str, path: str, owners: Iterable[str]) -> list[Span]:
    """Ranges that a file such as ``/etc/subuid`` gives to an owner, by name or number.

    Raises:
        Invalid: for a line about an owner that is none.
    """
    found = []
    wanted = set(owners)
    for number, line in enumerate(text.splitlines(), 1):
        words = [word.strip() for word in line.split(":")]
        if words[0] not in wanted:
            continue
        if len(words) != 3 or not all(re.fullmatch(_NUMBER, word) for word in words[1:]):
            raise _wrong(path, number, line, "must be USER:FIRST:COUNT, the last two numbers")
        first, count = int(words[1]), int(words[2])
        if first == 0:
            raise _wrong(path, number, line, "begins at 0, which is root of the host")
        if not count or first + count > _IDS:
            raise _wrong(path, number, line, f"must have ids from 1 to {_IDS - 1}, at least one")
        found.append(Span(first, first + count))
    return found


def _wrong(path: str, number: int, line: str, what: str) -> Invalid:
    shown = line if len(line) <= 60 else f"{line[:60]}…"
    return Invalid(f"{path}, line {number}: {shown!r} {what}", field=path, value=line)


def free_spans(given: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What is left of spans once others are taken out, the lowest first."""
    left = []
    hindrances = sorted(taken)
    for first, end in sorted(given):
        at = first
        for begin, behind in hindrances:
            if behind <= at or begin >= end:
                continue
            if begin > at:
                left.append(Span(at, begin))
            at = max(at, behind)
        if at < end:
            left.append(Span(at, end))
    return left


def filled(size: int, forced: Sequence[Extent], first: int) -> tuple[Extent, ...]:
    """A map of so many ids: those that are forced, and the others from one id of the host on."""
    found, at, outside = list[Extent](), 0, first
    for each in [*forced, Extent(size, 0, 0)]:
        if each.inside > at:
            found.append(Extent(at, outside, each.inside - at))
            outside += each.inside - at
        if each.length:
            found.append(each)
        at = each.inside + each.length
    return tuple(found)


def outside_spans(extents: Iterable[Extent]) -> list[Span]:
    """The ids of the host in a map."""
    return [Span(each.outside, each.outside + each.length) for each in extents]
