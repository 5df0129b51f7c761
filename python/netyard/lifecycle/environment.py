"""What a process in a container is told: its host name and its environment variables."""

from __future__ import annotations

from collections.abc import Sequence

from netyard.state.records import ContainerRecord
from netyard.values.ids import short
from netyard.values.spec import ContainerSpec

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def hostname_of(container: ContainerRecord, spec: ContainerSpec) -> str:
    """The host name: as asked, or the short id."""
    return spec.hostname or short(container.id)


def environment(spec: ContainerSpec, hostname: str) -> list[str]:
    given = dict(word.split("=", 1) for word in spec.environment)
    base = {"PATH": _PATH, "HOSTNAME": hostname, "HOME": "/root"}
    if spec.tty:
        base["TERM"] = "xterm"
    return [f"{key}={value}" for key, value in {**base, **given}.items()]


def environment_of(container: ContainerRecord, extra: Sequence[str] = ()) -> list[str]:
    """What a further process in a container gets."""
    spec = ContainerSpec.from_json(container.spec)
    joined = spec._replace(environment=[*spec.environment, *extra])
    return environment(joined, hostname_of(container, spec))
