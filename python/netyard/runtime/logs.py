"""Container logs: reading and following the records that the shim writes, in the CRI format."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from netyard.runtime.log_files import OpenLog
from netyard.values import clock

# Output comes in bursts, and of a burst only as much is kept as the log may have.
_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}


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
        if stream not in _STREAMS or not when.isascii():
            return None
        return cls(when.decode(), _STREAMS[stream], text + (b"\n" if tag == b"F" else b""))


def read(
    path: Path,
    *,
    tail: int | None = None,
    follow: Callable[[], bool] | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> Iterator[LogRecord]:
    """Read the records of a log, in constant memory; none if there is no such file.

    Args:
        path: The log.
        tail: Only this many of the last records that are there and fit the times.
        follow: Called while waiting for further records; reading ends when it returns false.
        since_ns: Only those of this time, in nanoseconds since 1970, or later.
        until_ns: Only those of this time or earlier; nothing is waited for once it has come.
    """
    fits = _test_of_times(since_ns, until_ns)
    with OpenLog(path) as log:
        if tail is not None:
            log.to_tail(tail, fits)
        yield from _records(log.present(), fits)
        pause = _SHORTEST_PAUSE
        while follow is not None:
            goes_on = follow() and (until_ns is None or time.time_ns() < until_ns)
            pause = min(2 * pause, _LONGEST_PAUSE)
            for record in _records(log.further(), fits):
                pause = _SHORTEST_PAUSE
                yield record
            if not goes_on:
                return
            time.sleep(pause)


def _records(lines: Iterator[bytes], fits: Callable[[bytes], bool]) -> Iterator[LogRecord]:
    return (found for line in lines if fits(line) and (found := LogRecord.parse(line)))


def _test_of_times(since_ns: int | None, until_ns: int | None) -> Callable[[bytes], bool]:
    """Whether a line is of a time: as text, which is of one length and sorts as the times do."""
    if since_ns is None and until_ns is None:
        return lambda line: True
    first = clock.show(since_ns or 0).encode()
    last = b"9999" if until_ns is None else clock.show(until_ns).encode()
    return lambda line: first <= line[: len(first)] <= last
