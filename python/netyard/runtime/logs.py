"""Container logs: reading and following the records that the shim writes, in the CRI format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_POLL_SECONDS = 0.1


class LogRecord(NamedTuple):
    """One line of output, or a part of a long one.

    Attributes:
        time: RFC 3339 with nanoseconds, UTC.
        stream: ``stdout`` or ``stderr``.
        data: The bytes, with a newline if the line is complete.
    """

    time: str
    stream: str
    data: bytes

    @classmethod
    def parse(cls, line: bytes) -> LogRecord | None:
        """Read a record; ``None`` for a damaged one."""
        parts = line.rstrip(b"\n").split(b" ", 3)
        if len(parts) != 4:
            return None
        when, stream, tag, text = parts
        return cls(when.decode(), stream.decode(), text + (b"\n" if tag == b"F" else b""))


def read(
    path: Path, *, tail: int | None = None, follow: Callable[[], bool] | None = None
) -> Iterator[LogRecord]:
    """Read the records of a log; none if there is no such file.

    Args:
        tail: Only this many of the last records that are there.
        follow: Called while waiting for further records; reading ends when it returns false.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        lines = file.readlines()
        kept = lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
        yield from filter(None, map(LogRecord.parse, kept))
        rest = b""
        while follow is not None:
            goes_on = follow()
            chunk = file.read()
            *complete, rest = (rest + chunk).split(b"\n")
            yield from filter(None, map(LogRecord.parse, complete))
            if not goes_on:
                return
            if not chunk:
                time.sleep(_POLL_SECONDS)
