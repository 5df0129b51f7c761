"""The environment variables of processes in containers."""

from __future__ import annotations

from collections.abc import Sequence

from netyard.state.records import ContainerRecord
from netyard.values.spec import ContainerSpec

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(spec: ContainerSpec, hostname: str) -> list[str]:
    """What a container's command gets, ``KEY=VALUE`` words."""
    given = dict(word.split("=", 1) for word in spec.environment)
    base = {"PATH": _PATH, "HOSTNAME": hostname, "HOME": "/root"}
    if spec.tty:
        base["TERM"] = "xterm"
    return [f"{key}={value}" for key, value in {**base, **given}.items()]


def environment_of(container: ContainerRecord, extra: Sequence[str] = ()) -> list[str]:
    """What a further process in a container gets."""
    spec = container.spec
    joined = spec._replace(environment=[*spec.environment, *extra])
    return environment(joined, container.hostname)
