"""One lab for all tests of the emulated machine, where making machines takes seconds.

Each test finds the host as it was at first: whatever it made is removed, and what is left is an
error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import lab as labs


@pytest.fixture(scope="session")
def _lab() -> Iterator[labs.Lab]:
    if "NETYARD_EMULATED" not in os.environ:
        pytest.fail("these tests need Debian's kernel: make test-vm")
    with labs.opened() as made:
        made.serve_internet()
        made.neighbour.serve("80")
        made.host.ny("network", "ls")
        yield made


@pytest.fixture
def lab(_lab: labs.Lab) -> Iterator[labs.Lab]:
    """The lab, and a look at what a test has left in it."""
    host = _lab.host
    before = host.links(), host.interface_state("eth0")
    yield _lab
    containers = host.ny("ps", "-a", "-q").split()
    if containers:
        host.ny("rm", "-f", *containers)
    networks = host.ny("network", "ls", "-q", "-f", "type=custom").split()
    if networks:
        host.ny("network", "rm", *networks)
    assert (host.links(), host.interface_state("eth0")) == before
