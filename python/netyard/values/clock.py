"""Times as they are recorded and shown: RFC 3339, UTC, nanoseconds."""

from __future__ import annotations

import time


def now() -> str:
    """The present time."""
    return show(time.time_ns())


def show(nanoseconds: int) -> str:
    """A time since 1970."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
