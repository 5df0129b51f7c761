"""The library alone, by pytest-benchmark: run by ``make bench`` in namespaces of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netyard import Container, Host, Network, _core


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A host in the namespaces ``make bench`` has made."""
    if {link.name for link in _core.list_links()} != {"lo"}:
        pytest.fail("benchmarks run in a network namespace of their own: make bench")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/run/netns").mkdir(exist_ok=True)
    with Host(root="/run/bench") as made:
        yield made


@pytest.fixture(scope="module")
def box(host: Host) -> Container:
    """An adopted namespace on a network of its own."""
    subprocess.run(["ip", "netns", "add", f"box{os.getpid()}"], check=True)
    Network.create("home", host=host)
    path = f"/run/netns/box{os.getpid()}"
    return Container.adopt("box", netns=path, network="home", host=host)


def test_create_network(benchmark, host: Host) -> None:
    """A bridge network, from nothing."""
    benchmark.pedantic(
        lambda: Network.create("round", host=host),
        teardown=lambda: Network.get("round", host=host).remove(),
        rounds=15,
    )


def test_attach(benchmark, host: Host, box: Container) -> None:
    """One more network for a container."""
    net = Network.create("more", host=host)
    benchmark.pedantic(lambda: net.connect(box), teardown=lambda: net.disconnect(box), rounds=15)
    net.remove()


def test_run(benchmark, host: Host) -> None:
    """A container of its own, from call to running command."""
    made: list[Container] = []
    benchmark.pedantic(
        lambda: made.append(Container.run("sleep", "60", network="home", host=host)),
        teardown=lambda: made.pop().remove(force=True),
        rounds=15,
    )
