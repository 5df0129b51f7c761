"""Container logs: reading and following the records that the shim writes, in the CRI format."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from netyard.values import clock

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
    def parse(cls, line: bytes) -> "LogRecord | None":
        """Read a record; ``None`` for a damaged one.

        Args:
            line: A line of a log file, as the CRI has it: time, stream, tag and text.
        """
        parts = line.rstrip(b"\n").split(b" ", 3)
        if len(parts) != 4:
            return None
        when, stream, tag, text = parts
        return cls(when.decode(), stream.decode(), text + (b"\n" if tag == b"F" else b""))


def read(
    path: Path,
    *,
    tail: int | None = None,
    follow: Callable[[], bool] | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> Iterator[LogRecord]:
    """Read the records of a log; none if there is no such file.

    Args:
        path: The log.
        tail: Only this many of the last records that are there and fit the times.
        follow: Called while waiting for further records; reading ends when it returns false.
        since_ns: Only those of this time, in nanoseconds since 1970, or later.
        until_ns: Only those of this time or earlier; nothing is waited for once it has come.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    fits = _test_of_times(since_ns, until_ns)
    with file:
        lines = file.readlines()
        if since_ns is None and until_ns is None:
            lines = lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
            yield from filter(None, map(LogRecord.parse, lines))
        else:
            kept = [each for each in map(LogRecord.parse, lines) if each and fits(each)]
            yield from kept if tail is None else kept[len(kept) - min(tail, len(kept)) :]
        rest = b""
        while follow is not None:
            goes_on = follow() and (until_ns is None or time.time_ns() < until_ns)
            chunk = file.read()
            *complete, rest = (rest + chunk).split(b"\n")
            yield from (each for each in map(LogRecord.parse, complete) if each and fits(each))
            if not goes_on:
                return
            if not chunk:
                time.sleep(_POLL_SECONDS)


def _test_of_times(since_ns: int | None, until_ns: int | None) -> Callable[[LogRecord], bool]:
    """Whether a record is of a time: as text, which is of one length and sorts as the times do."""
    first = clock.show(since_ns or 0)
    last = "9999" if until_ns is None else clock.show(until_ns)
    return lambda record: first <= record.time <= last
