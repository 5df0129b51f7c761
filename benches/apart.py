"""Measurements run in namespaces of their own, never in the machine's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

# What is in them ends with us, however we end.
_APART = (
    "setpriv --pdeathsig KILL unshare -n -m -p -f --mount-proc --kill-child --propagation private"
).split()
_OUTSIDE = "NETYARD_BENCH_OUTSIDE"


def _namespace() -> str:
    return str(Path("/proc/self/ns/net").readlink())


def run(words: list[str], *, environment: dict[str, str] | None = None, **settings: Any) -> Any:
    """Run a command in new namespaces; see `subprocess.run`."""
    return subprocess.run([*_APART, *words], env=_known(environment), **settings)


def start(words: list[str], *, environment: dict[str, str] | None = None, **settings: Any) -> Any:
    """Start a command in new namespaces; see `subprocess.Popen`."""
    return subprocess.Popen([*_APART, *words], env=_known(environment), **settings)


def _known(environment: dict[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(environment or {}), _OUTSIDE: _namespace()}


def check() -> None:
    """End the process unless `run` has started it.

    Raises:
        SystemExit: in the namespace that `run` was called in, or without it.
    """
    if os.environ.get(_OUTSIDE, _namespace()) == _namespace():
        raise SystemExit("this measures in namespaces of its own: run it without --inside")
