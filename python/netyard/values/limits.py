"""Limits of a container, as typed: sizes, processors, ``ulimit``. Which the host can keep to is in
`netyard.runtime.cgroup`."""

import re

from netyard.errors import Invalid
from netyard.values.named import NamedTuple

DEFAULT_PIDS = 4096
DEFAULT_SHM_SIZE = 64 << 20
UNLIMITED = -1
#: Less than this no program starts in.
LEAST_MEMORY = 6 << 20
_MOST = 2**63 - 1
_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_NANO = 10**9
#: Of a hundredth of a processor the kernel keeps account.
_LEAST_NANO = 10**7

#: ``RLIMIT_…`` by their names for users, as of all architectures here.
ULIMITS = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "as": 9,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}


class Ulimit(NamedTuple):
    """A limit of each process; -1 is none."""

    name: str
    soft: int
    hard: int


def parse_size(field: str, given: str | float, least: int = 1) -> int:
    """A number of bytes, or with a unit: ``512m``, ``1.5g``, ``64k``.

    Raises:
        Invalid: if it is none, or less than the least that makes sense.
    """
    # Imported when they are needed: each `run` imports this module, few name a size.
    from decimal import Decimal

    found = re.fullmatch(r"([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([bkmgt]?)(?:i?b)?", str(given).lower())
    size = int(Decimal(found[1]) * (1 << _UNITS[found[2]])) if found else -1
    if not least <= size <= _MOST:
        right = "a size such as 512m"
        if least > 1:
            right += f", of at least {show_size(least)}"
        raise Invalid(f"{field}: {given!r} must be {right}", field=field, value=given)
    return size


def parse_swap(given: str | float, memory: int) -> int:
    """Memory and swap together: 0 for as much again as memory, -1 for as much as there is."""
    field = "--memory-swap"
    if str(given) in ("", "0"):
        return 0
    if not memory:
        raise Invalid(f"{field}: {given!r} needs --memory", field=field, value=given)
    if str(given) == "-1":
        return UNLIMITED
    size = parse_size(field, given)
    if size < memory:
        raise Invalid(
            f"{field}: {given!r} must be at least --memory, which is part of it",
            field=field,
            value=given,
        )
    return size


def parse_cpus(given: str | float) -> int:
    """Processors, in billionths: ``0.5`` is half the time of one."""
    from decimal import Decimal, InvalidOperation

    field = "--cpus"
    try:
        number = Decimal(str(given)) * _NANO
        nano = int(number) if number.is_finite() and abs(number) < _MOST else -1
    except (InvalidOperation, ValueError):
        nano = -1
    if nano < _LEAST_NANO:
        right = "a number of processors such as 1.5, of at least 0.01"
        raise Invalid(f"{field}: {given!r} must be {right}", field=field, value=given)
    return nano


def parse_pids(given: int) -> int:
    """How many processes; -1 for any number."""
    field = "--pids-limit"
    if given < UNLIMITED or given > _MOST:
        raise Invalid(
            f"{field}: {given} must be a number of processes, or -1 for any number",
            field=field,
            value=given,
        )
    return given or UNLIMITED


def parse_ulimit(word: str) -> Ulimit:
    """``NAME=SOFT[:HARD]``, such as ``nofile=1024:4096``; ``unlimited`` or -1 for no limit."""
    field = "--ulimit"
    name, _, values = word.partition("=")
    soft, separator, hard = values.partition(":")
    numbers = [_limit(soft), _limit(hard if separator else soft)]
    if name not in ULIMITS or None in numbers:
        raise Invalid(
            f"{field}: {word!r} must be NAME=SOFT[:HARD], such as nofile=1024:4096, with one of "
            f"the names {', '.join(sorted(ULIMITS))}",
            field=field,
            value=word,
        )
    found = Ulimit(name, numbers[0] or 0, numbers[1] or 0)
    if found.hard != UNLIMITED and not 0 <= found.soft <= found.hard:
        raise Invalid(
            f"{field}: {word!r} has a soft limit above the hard one", field=field, value=word
        )
    return found


def _limit(text: str) -> int | None:
    if text in ("-1", "unlimited"):
        return UNLIMITED
    is_number = text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MOST
    return int(text) if is_number else None


def show_size(size: float) -> str:
    """A size as people read it: ``1.5GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g}{unit}"
        size /= 1024
    return f"{size:.4g}TiB"
