"""Fixtures: a fresh lab for each test that asks for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import driver_packages
import lab as labs


@pytest.fixture
def lab() -> Iterator[labs.Lab]:
    """A host, a neighbour and an internet, all their own."""
    if os.geteuid() != 0:
        pytest.fail("lab tests need root: they make namespaces")
    with labs.opened() as made:
        yield made


@pytest.fixture
def host(lab: labs.Lab) -> labs.Machine:
    """The lab's host, where netyard runs."""
    return lab.host


@pytest.fixture(params=["1", "0"], ids=["br_netfilter", "no-br_netfilter"])
def either_bridge_mode(request: pytest.FixtureRequest, lab: labs.Lab) -> None:
    """Both ways a kernel may treat bridged frames: all must hold in either (contract FW36)."""
    for name in ("iptables", "ip6tables"):
        setting = f"/proc/sys/net/bridge/bridge-nf-call-{name}"
        lab.host.run("sh", "-c", f"echo {request.param} > {setting}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[driver_packages.Site]:
    """Where driver packages can be installed; there is none yet."""
    made = driver_packages.Site(tmp_path / "site", monkeypatch)
    yield made
    made.forget_modules()
