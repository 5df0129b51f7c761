"""Overlay networks: hosts on a routed wire, an etcd, containers that reach one another by name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import cluster
from cluster import Cluster, run
from lab import Guest, Machine, wait_for


@pytest.fixture
def pair() -> Iterator[Cluster]:
    """Two hosts that have joined."""
    with cluster.opened(2) as found:
        found.join()
        yield found


@pytest.fixture
def trio() -> Iterator[Cluster]:
    """Three hosts that have joined, with leases of five seconds."""
    with cluster.opened(3) as found:
        found.join(flags=("--lease", "5"))
        yield found


def knows(machine: Machine, network: str) -> bool:
    """Whether a host lists a network."""
    return network in machine.ny("network", "ls", "--format", "{{.Name}}").split()


def names(guest: Guest, name: str) -> list[str]:
    """What a name means to a container."""
    return sorted(guest.dig(name).split())


def overlay_links(machine: Machine) -> set[str]:
    """The interfaces of overlay networks and their containers."""
    return {name for name in machine.links() if name.startswith(("br-", "vx-", "ny-"))}


def test_containers_of_two_hosts(pair: Cluster) -> None:
    """OV1, OV4, DN4: one subnet; ping, HTTP and names both ways; nothing left at the end."""
    alpha, beta = pair.hosts
    made = alpha.ny("network", "create", "-d", "overlay", "--attachable", "net")
    wait_for(lambda: knows(beta, "net"))
    assert json.loads(beta.ny("network", "inspect", "net"))[0]["Id"] == made
    alpha.ny(
        "run", "-d", "--name", "web", "--network", "net", "--network-alias", "site", "sleep", "600"
    )
    web = Guest(alpha, "web")
    client = run(beta, "client", "net")
    assert web.address("net") == "10.0.0.2"
    assert client.address("net") == "10.0.0.3"
    for name in ("web", "site", "web.net", web.address("net")):
        assert client.ping(name)
    assert web.ping("client")
    assert client.dig("-x", "10.0.0.2") == "web.net."
    assert client.run("ping", "-c1", "-W1", "-M", "do", "-s", "1422", "web")
    assert not client.ping("10.0.0.99")
    alpha.ny("rm", "-f", "web")
    beta.ny("rm", "-f", "client")
    beta.ny("network", "rm", "net")
    wait_for(lambda: not knows(alpha, "net"))
    for machine in pair.hosts:
        wait_for(lambda machine=machine: not overlay_links(machine), what=machine.name)  # type: ignore[misc]
        assert "table" not in machine.out("nft", "list", "ruleset")
    left = [key.split("/")[3] for key in pair.shared_keys()]
    assert sorted(left) == ["generation", "hostnames", "hostnames", "hosts", "hosts"]
