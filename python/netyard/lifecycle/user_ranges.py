"""Ranges of ids that containers of ``--userns auto`` have: chosen out of ``/etc/subuid`` and
``/etc/subgid``, and what of a container must be among them.

A range is its container's as long as the store has the container: nothing else is to be freed.
Texts and arithmetic are in `netyard.values.user_ids`.
"""

from __future__ import annotations

import pwd
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from netyard.errors import Conflict, Exhausted, Invalid
from netyard.state.records import ContainerRecord
from netyard.state.small_files import read_small
from netyard.state.store import Store
from netyard.values.mounts import MountRequest
from netyard.values.spec import ContainerSpec
from netyard.values.user_ids import (
    OWNER,
    Extent,
    IdMap,
    Span,
    Wish,
    filled,
    free_spans,
    outside_spans,
    parse_auto,
    parse_ranges,
)

_SUBUID, _SUBGID = Path("/etc/subuid"), Path("/etc/subgid")


def choose_ids(store: Store, spec: ContainerSpec, donor: ContainerRecord | None) -> IdMap | None:
    """The ids of a container that is being made; ``None`` if they are the host's.

    A range of its own, or those of the container whose network it shares: the network's user
    namespace is that of both.

    Raises:
        Conflict: if it asks for a range and shares with one that has none.
        Invalid: if there is no range for containers, none is as large, or its user is not in it.
        Exhausted: if all ranges are taken.
    """
    if not spec.is_confined:
        return None
    if donor is not None:
        ids = IdMap.of(donor.ids_json)
        if ids is None and spec.has_own_ids:
            raise Conflict(
                f"--userns: container {donor.name!r}, whose network is to be shared, has the ids "
                "of the host, and containers that share a network have the same",
                hint=f"start {donor.name!r} with --userns auto, or this one without",
            )
    elif spec.has_own_ids:
        ids = _own_range(store, parse_auto(spec.userns))
    else:
        ids = None
    if ids is not None:
        check_user(spec.user, ids)
        translated(spec.mounts, ids)
    return ids


def _own_range(store: Store, wish: Wish) -> IdMap:
    taken = [IdMap.from_json(text) for text in store.id_maps()]
    return IdMap(
        _chosen(_SUBUID, wish.size, wish.uids, [outside_spans(each.uids) for each in taken]),
        _chosen(_SUBGID, wish.size, wish.gids, [outside_spans(each.gids) for each in taken]),
    )


def _chosen(
    path: Path, size: int, forced: Sequence[Extent], taken: Sequence[Sequence[Span]]
) -> tuple[Extent, ...]:
    wanted = size - sum(each.length for each in forced)
    if not wanted:
        return filled(size, forced, 0)
    given = _ranges(path)
    if not any(_length(each) >= wanted for each in given):
        most = max(map(_length, given))
        raise Invalid(
            f"--userns: {path} gives user {OWNER!r} {most} ids in a row, and {wanted} are wanted",
            field="--userns",
            value=size,
            hint=f"give it more, or use --userns auto:size={most}",
        )
    hindrances = [span for spans in taken for span in spans] + outside_spans(forced)
    for each in free_spans(given, hindrances):
        if _length(each) >= wanted:
            return filled(size, forced, each.first)
    raise Exhausted(
        f"--userns: of the {sum(map(_length, given))} ids that {path} gives user {OWNER!r} no "
        f"{wanted} in a row are free: containers have the others",
        hint=f"remove a container of --userns auto, give {OWNER!r} more ids, or ask for fewer with "
        "--userns auto:size=N",
    )


def _length(span: Span) -> int:
    return span.end - span.first


def _ranges(path: Path) -> list[Span]:
    """What a file gives to containers; at least one.

    Raises:
        Invalid: if the file cannot be read, or is wrong, or gives them nothing.
    """
    example = f"add a line such as {OWNER}:2000000000:1000000"
    try:
        text = read_small(path).decode(errors="replace")
    except FileNotFoundError:
        raise Invalid(
            f"--userns: there is no {path}, which gives user {OWNER!r} ids for containers",
            field="--userns",
            value=str(path),
            hint=example,
        ) from None
    except OSError as error:
        raise Invalid(
            f"--userns: {path} cannot be read: {error.strerror}", field="--userns", value=str(path)
        ) from error
    found = parse_ranges(text, str(path), _owners())
    if not found:
        raise Invalid(
            f"--userns: {path} has no line for user {OWNER!r}, whose ids containers get",
            field="--userns",
            value=str(path),
            hint=example,
        )
    return found


def _owners() -> list[str]:
    """What such a file may call the user: it need not exist."""
    try:
        return [OWNER, str(pwd.getpwnam(OWNER).pw_uid)]
    except KeyError:
        return [OWNER]


# -- what must be in a range --------------------------------------------------------------------


def check_user(user: str, ids: IdMap) -> None:
    """Refuse a user (``UID:GID[,GROUP...]``) that the container does not have.

    Raises:
        Invalid: if it is not among its ids.
    """
    uid, _, groups = user.partition(":")
    _check("--user", uid, "user", ids.uid)
    for group in filter(None, groups.split(",")):
        _check("--user", group, "group", ids.gid)


def _check(flag: str, number: str, what: str, outside: Callable[[int], int | None]) -> None:
    if number and outside(int(number)) is None:
        raise Invalid(
            f"{flag}: the container has no {what} {number}: it is not in its range of ids",
            field=flag,
            value=number,
            hint=f"make the container with --userns auto:size=N, N above {number}",
        )


def host_user(user: str, ids: IdMap) -> tuple[int, int]:
    """User and group on the host of a process of the container."""
    uid, _, groups = user.partition(":")
    gid = groups.partition(",")[0]
    return ids.uid(int(uid or 0)) or 0, ids.gid(int(gid or 0)) or 0


def translated(mounts: Sequence[MountRequest], ids: IdMap) -> list[MountRequest]:
    """Mounts, the owners of tmpfs by the host's ids: the container's root, unless one is given.

    Raises:
        Invalid: if one is to belong to a user or group that the container does not have.
    """
    return [
        each._replace(options=_translated(each, ids)) if each.kind == "tmpfs" else each
        for each in mounts
    ]


def _translated(mount: MountRequest, ids: IdMap) -> str:
    flag = f"--{mount.flag}"
    words = [word for word in mount.options.split(",") if not re.match("[ug]id=", word)]
    given = dict(word.split("=") for word in mount.options.split(",") if "=" in word)
    for key, what, outside in (("uid", "user", ids.uid), ("gid", "group", ids.gid)):
        number = given.get(key, "0")
        _check(flag, number, what, outside)
        words.append(f"{key}={outside(int(number))}")
    return ",".join(filter(None, words))
