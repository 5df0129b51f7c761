"""Hosts of a cluster: joining, leaving, TLS, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

import cluster
from cluster import ETCD, ETCD_URL, Cluster, run
from lab import wait_for


@pytest.fixture
def pair() -> Iterator[Cluster]:
    """Two hosts that have not joined, and an etcd."""
    with cluster.opened(2) as found:
        yield found


@pytest.fixture
def closed() -> Iterator[Cluster]:
    """The same, with an etcd that does not run yet."""
    with cluster.opened(2, has_etcd=False) as found:
        yield found


JOIN = f"host join --etcd {ETCD_URL} --advertise 10.99.1.2"


def test_join_and_leave(pair: Cluster) -> None:
    """Who is there is seen by all; settings are in the config file; nothing is left."""
    alpha, beta = pair.hosts
    joined = alpha.ny(*JOIN.split(), "--name", "a", "--lease", "60")
    beta.ny("host", "join", "--etcd", ETCD_URL, "--advertise", "10.99.2.2")
    assert joined in alpha.ny("host", "inspect", "a")
    assert [line.split()[1] for line in beta.ny("host", "ls").splitlines()[1:]] == ["a", "beta"]
    assert json.loads(alpha.ny("config"))["cluster"]["lease"] == 60
    assert json.loads(alpha.ny("host", "inspect", "beta"))[0]["Address"] == "10.99.2.2"
    alpha.ny("network", "create", "-d", "overlay", "net")
    run(beta, "web", "net")
    assert "on networks net of the cluster" in beta.refused("host", "leave")
    beta.ny("rm", "-f", "web")
    beta.ny("host", "leave")
    assert "net" not in beta.ny("network", "ls").split()
    assert "cluster" not in json.loads(beta.ny("config"))
    assert len(alpha.ny("host", "ls").splitlines()) == 2
    alpha.ny("network", "rm", "net")
    alpha.ny("host", "leave")
    assert pair.shared_keys() == ["/netyard/v1/generation"]
    assert "this host is in no cluster" in alpha.refused("host", "leave")
    alpha.ny(*JOIN.split())
    pair.stop_etcd()
    alpha.ny("host", "leave")
    assert "cluster" not in json.loads(alpha.ny("config"))
    assert alpha.links() == beta.links() == {"lo", "eth0"}


def test_settings_of_the_environment(pair: Cluster) -> None:
    """They win over the config file."""
    alpha, _ = pair.hosts
    environment = {
        "NETYARD_ETCD": ETCD_URL,
        "NETYARD_ADVERTISE": "10.99.1.2",
        "NETYARD_HOST_NAME": "env",
    }
    done = alpha.run(sys.executable, "-m", "netyard", "host", "join", env=environment)
    assert done.stdout
    assert "env" in alpha.ny("host", "ls")


def test_tls_with_client_certificates(closed: Cluster) -> None:
    """A host with a certificate of the cluster's gets in, others do not and are told why."""
    files = closed.start_etcd_with_tls()
    alpha, beta = closed.hosts
    url = f"https://{ETCD}:2379"
    client = f"--ca {files}/ca.pem --cert {files}/client.pem --key {files}/client.key"
    for machine in closed.hosts:
        machine.ny(
            "host",
            "join",
            "--etcd",
            url,
            "--advertise",
            cluster.address_of(machine),
            *client.split(),
        )
    alpha.ny("network", "create", "-d", "overlay", "net")
    web, other = run(alpha, "web", "net"), run(beta, "other", "net")
    wait_for(lambda: other.ping("web") and web.ping("other"))
    for name in ("web", "other"):
        (alpha if name == "web" else beta).ny("rm", "-f", name)
    alpha.ny("host", "leave")
    join = ("host", "join", "--etcd", url, "--advertise", "10.99.1.2")
    before = alpha.snapshot()
    assert "its certificate is refused" in alpha.refused(*join)
    stranger = f"--ca {files}/ca.pem --cert {files}/stranger.pem --key {files}/stranger.key"
    assert f"etcd at {url} cannot be used: TLS failed" in alpha.refused(*join, *stranger.split())
    assert f"etcd at {url} cannot be used: TLS failed" in alpha.refused(
        *join, "--ca", f"{files}/ca.pem"
    )
    assert "no such file" in alpha.refused(*join, "--ca", "/nowhere.pem").lower()
    assert alpha.snapshot() == before
    assert "cluster" not in json.loads(alpha.ny("config"))


def test_bad_input(pair: Cluster) -> None:
    """CV3, OV1 to OV3: one sentence each, and nothing left."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "own")
    before = alpha.snapshot()
    refusals = {
        "host join --advertise 10.99.1.2": "--etcd: is needed",
        f"host join --etcd {ETCD_URL}": "--advertise: is needed",
        f"host join --etcd {ETCD_URL} --advertise 10.99.2.2": "10.99.2.2 is no address of this host, which has 10.99.1.2",
        f"host join --etcd {ETCD_URL} --advertise 127.0.0.1": "is the loopback",
        f"host join --etcd {ETCD_URL} --advertise here": "'here' is no IP address",
        "host join --etcd etcd.local --advertise 10.99.1.2": "'etcd.local' is no address of an etcd",
        "host join --etcd http://10.99.0.2:1 --advertise 10.99.1.2": "etcd at http://10.99.0.2:1 cannot be used: Connection refused",
        f"{JOIN} --name -a": "'-a' is no valid name",
        f"{JOIN} --lease 1": "'1' must be a number of seconds from 5 to 3600",
        f"{JOIN} --cert x": "a certificate needs its key",
        "host ls": "this host is in none",
        "network create -d overlay net": "this host is in none",
    }
    for command, expected in refusals.items():
        assert expected in alpha.refused(*command.split()), command
    assert alpha.snapshot() == before
    beta.ny("host", "join", "--etcd", ETCD_URL, "--advertise", "10.99.2.2", "--name", "taken")
    assert "another host of this cluster is called 'taken'" in alpha.refused(
        *JOIN.split(), "--name", "taken"
    )
    alpha.ny(*JOIN.split())
    assert "in a cluster already, as 'alpha'" in alpha.refused(*JOIN.split())
    beta.ny(
        "network", "create", "-d", "overlay", "--subnet", "10.50.0.0/24", "--opt", "vni=5000", "net"
    )
    wait_for(lambda: "net" in alpha.ny("network", "ls").split())
    before = alpha.snapshot()
    refusals = {
        "-d overlay net": "a network named 'net' exists",
        "net": "a network named 'net' exists",
        "-d overlay --subnet 10.50.0.0/25 x": "10.50.0.0/25 overlaps 10.50.0.0/24 of network 'net'",
        "--subnet 10.50.0.0/25 x": "10.50.0.0/25 overlaps 10.50.0.0/24 of network 'net'",
        "-d overlay --opt vni=5000 x": "VXLAN network identifier 5000 is network 'net''s",
        "-d overlay --opt vni=0 x": "'0' must be a number from 1 to 16777215",
        "-d overlay --opt vni=5,6 x": "must be one number",
        "-d overlay --opt vxlan-port=80 x": "'80' must be a number from 1024 to 49151",
        "-d overlay --opt encrypted=perhaps x": "'perhaps' is no boolean",
        "-d overlay --opt encrypted x": "it lacks the module 'wireguard'",
        "-d overlay --scope local x": "which is global",
        "-d overlay --ipam-driver dhcp x": "'dhcp' is not for overlay networks",
        "-d overlay --ipv6 --opt mtu=1000 x": "must be a number from 1280",
        "-d overlay --subnet 10.51.0.0/24 --subnet 10.52.0.0/24 x": "has one IPv4 subnet",
    }
    for command, expected in refusals.items():
        if (
            "encrypted x" in command
            and alpha.run("ip", "link", "add", "w", "type", "wireguard", check=False).returncode
            == 0
        ):
            alpha.run("ip", "link", "del", "w")
            continue
        assert expected in alpha.refused("network", "create", *command.split()), command
    for command, expected in {
        "run --network net --ip 10.60.0.1 true": "10.60.0.1 is in no subnet of network 'net'",
        "run --network net --ip 10.50.0.1 true": "10.50.0.1 is the gateway of network 'net'",
    }.items():
        assert expected in alpha.refused(*command.split(), status=125), command
    assert alpha.snapshot() == before
