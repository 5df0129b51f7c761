"""What the shim is told of one more process for a running container.

In a file of its own: a start has no use for it, and making such a class takes a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Exec(NamedTuple):
    """One more process for a running container."""

    target: int
    command: Sequence[str]
    environment: Sequence[str]
    workdir: str = ""
    workdir_is_optional: bool = False
    user: str = ""
    tty: bool = False
    interactive: bool = False
    privileged: bool = False
    capabilities: int | None = None
    no_new_privileges: bool = False
    seccomp: str = ""
    ulimits: Sequence[tuple[int, int, int]] = ()
    cgroup: Path | None = None
    stream_owner: tuple[int, int] | None = None
