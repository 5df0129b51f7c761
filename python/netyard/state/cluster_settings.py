"""What a membership is made of besides its settings: the environment, and this host's own name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from netyard.values.membership import KEY, VARIABLES, Membership, parse


def membership_of(settings: Mapping[str, Any]) -> Membership | None:
    """The membership a config file and the environment make; ``None`` if they name no etcd.

    Raises:
        Invalid, Several: for every value that is wrong.
    """
    found = with_environment(settings)
    return parse(KEY, with_host_name(found)) if found.get("etcd") else None


def with_environment(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, and what variables of the environment make of them."""
    given = {name: os.environ.get(variable) for name, variable in VARIABLES.items()}
    return {**settings, **{name: value for name, value in given.items() if value}}


def with_host_name(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, with this machine's host name where they name no other."""
    return {**settings, "name": settings.get("name") or os.uname().nodename}
