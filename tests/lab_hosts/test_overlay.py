"""Overlay networks: hosts on a routed wire, an etcd, containers that reach one another by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import cluster
import firewalls
from cluster import Cluster, run
from lab import SERVER, Guest, Machine, wait_for


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


def test_the_way_out(pair: Cluster) -> None:
    """OV7: out by a bridge of the host, and in by published ports; `--ip` and names are the overlay's."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "--subnet", "10.7.0.0/24", "net")
    alpha.ny("network", "create", "-d", "overlay", "--internal", "closed")
    flags = "-d --name web --network net --ip 10.7.0.9 -p 8080:80".split()
    alpha.ny("run", *flags, sys.executable, "-S", SERVER, "80")
    web = Guest(alpha, "web")
    assert web.address("net") == "10.7.0.9"
    assert web.ping("10.99.0.2"), "no way out"
    assert beta.fetch("10.99.1.2", 8080), "not published"
    assert web.dig("web") == "10.7.0.9"
    hosts = web.run("cat", "/etc/hosts").stdout
    assert [
        line.split()[0] for line in hosts.splitlines() if not line.startswith(("127", ":", "f"))
    ] == ["10.7.0.9"]
    found = json.loads(alpha.ny("inspect", "web"))[0]["NetworkSettings"]["Networks"]
    assert list(found) == ["net"]
    assert "netyard_gwbridge" in alpha.ny("network", "ls")
    other = run(alpha, "other", "net")
    addresses = json.loads(other.run("ip", "-j", "-4", "addr", "show", "eth1").stdout)
    beside = addresses[0]["addr_info"][0]["local"]
    assert not web.ping(beside), "containers reach one another by the way out"
    closed = run(alpha, "closed", "closed")
    assert not closed.ping("10.99.0.2")
    assert "eth1" not in closed.run("ip", "link").stdout


def test_the_way_out_comes_and_goes(pair: Cluster) -> None:
    """OV7: a network with a gateway takes its place, ports and all, and gives it back."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    alpha.ny("network", "create", "own")
    flags = "-d --name web --network own -p 8080:80".split()
    alpha.ny("run", *flags, sys.executable, "-S", SERVER, "80")
    web = Guest(alpha, "web")

    def interfaces() -> int:
        return len(json.loads(web.run("ip", "-j", "link").stdout)) - 1

    alpha.ny("network", "connect", "net", "web")
    assert interfaces() == 2
    alpha.ny("network", "disconnect", "own", "web")
    assert interfaces() == 2
    assert web.ping("10.99.0.2")
    assert beta.fetch("10.99.1.2", 8080)
    alpha.ny("network", "connect", "own", "web")
    assert interfaces() == 2
    assert web.ping("10.99.0.2")
    assert beta.fetch("10.99.1.2", 8080)
    assert "joined beside" in alpha.refused("network", "connect", "netyard_gwbridge", "web")
    alpha.ny("network", "disconnect", "net", "web")
    assert interfaces() == 1
    alpha.ny("network", "rm", "net")
    alpha.ny("rm", "-f", "web")
    alpha.ny("network", "rm", "own")
    assert not overlay_links(alpha)


def test_a_name_moves(pair: Cluster) -> None:
    """Removed on one host and run on the other it is the other's within a second, its address too."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    near, far = run(alpha, "near", "net"), run(beta, "far", "net")
    run(alpha, "web", "net")
    assert near.ping("web") and far.ping("web")
    alpha.ny("rm", "-f", "web")
    web = run(beta, "web", "net", "--ip", "10.0.0.4")
    wait_for(lambda: names(near, "web") == ["10.0.0.4"], seconds=1)
    assert names(far, "web") == ["10.0.0.4"]
    assert near.ping("web") and far.ping("web") and web.ping("near")


def test_an_alias_on_several_hosts(trio: Cluster) -> None:
    """DN4: it answers with all, and with those that are left."""
    for number, machine in enumerate(trio.hosts):
        if not number:
            machine.ny("network", "create", "-d", "overlay", "net")
        wait_for(lambda machine=machine: knows(machine, "net"))  # type: ignore[misc]
        machine.ny(
            *f"run -d --name web{number} --network net --network-alias web sleep 600".split()
        )
    client = run(trio.hosts[0], "client", "net")
    wait_for(lambda: names(client, "web") == ["10.0.0.2", "10.0.0.3", "10.0.0.4"])
    trio.hosts[1].ny("stop", "-t", "0", "web1")
    wait_for(lambda: names(client, "web") == ["10.0.0.2", "10.0.0.4"])
    trio.hosts[1].ny("start", "web1")
    wait_for(lambda: names(client, "web") == ["10.0.0.2", "10.0.0.3", "10.0.0.4"])
    assert client.ping("web1")


def test_both_families_and_connect(pair: Cluster) -> None:
    """NO1: dual stack; live connect and disconnect, beside a bridge network."""
    alpha, beta = pair.hosts
    alpha.ny(
        "network",
        "create",
        "-d",
        "overlay",
        "--ipv6",
        "--subnet",
        "10.7.0.0/24",
        "--subnet",
        "fd07::/64",
        "net",
    )
    alpha.ny("network", "create", "own")
    web = run(alpha, "web", "own")
    client = run(beta, "client", "net")
    alpha.ny("network", "connect", "--alias", "site", "--ip6", "fd07::99", "net", "web")
    assert web.address("net", version=6) == "fd07::99"
    wait_for(lambda: client.dig("site", "AAAA") == "fd07::99")
    assert (
        client.ping("fd07::99")
        and web.ping(client.address("net", version=6))
        and client.ping("site")
    )
    alpha.ny("network", "disconnect", "net", "web")
    wait_for(lambda: names(client, "site") == [])
    assert not client.ping("fd07::99")


def test_in_use_anywhere(pair: Cluster) -> None:
    """NR1: not removed while any host has containers on it, running or not; it says where."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    wait_for(lambda: knows(beta, "net"))
    run(beta, "one", "net")
    beta.ny("create", "--name", "two", "--network", "net", "sleep", "600")
    complaint = alpha.refused("network", "rm", "net")
    assert "used by containers one, two on host beta" in complaint
    assert knows(alpha, "net")
    beta.ny("rm", "-f", "one", "two")
    alpha.ny("network", "rm", "net")


def test_racing_for_a_name_and_for_the_last_address(pair: Cluster) -> None:
    """IP13: two hosts want the same; one gets it, the other a clear error."""
    done = both(pair, "network create -d overlay --subnet 10.7.0.0/29 net")
    assert sorted(each.returncode for each in done) == [0, 1]
    assert "a network named 'net' exists" in "".join(each.stderr for each in done)
    for machine in pair.hosts:
        wait_for(lambda machine=machine: knows(machine, "net"))  # type: ignore[misc]
    # A /29 has six addresses, one is the gateway's.
    for number in range(4):
        pair.hosts[number % 2].ny(*f"create --name c{number} --network net sleep 600".split())
    done = both(pair, "run -d --name last --network net sleep 600")
    assert sorted(each.returncode for each in done) == [0, 125]
    assert "network 'net' has no free address left in 10.7.0.0/29" in "".join(
        e.stderr for e in done
    )
    done = both(pair, "network create -d overlay {name}")
    assert [each.returncode for each in done] == [0, 0]
    alpha = pair.hosts[0]
    wait_for(lambda: knows(alpha, "alpha") and knows(alpha, "beta"))
    found = json.loads(alpha.ny("network", "inspect", "alpha", "beta"))
    assert {each["Vni"] for each in found} == {4097, 4098}
    assert len({each["IPAM"]["Config"][0]["Subnet"] for each in found}) == 2


def both(pair: Cluster, command: str) -> list[Any]:
    """The same command on both hosts at once."""
    with ThreadPoolExecutor() as pool:
        return list(
            pool.map(
                lambda machine: machine.netyard(
                    *command.format(name=machine.name).split(), check=False
                ),
                pair.hosts,
            )
        )


def test_nonsense_in_etcd(pair: Cluster) -> None:
    """SH27: who can write there makes his own entries useless, and nobody else's."""
    alpha, beta = pair.hosts
    net = alpha.ny("network", "create", "-d", "overlay", "net")
    web, client = run(alpha, "web", "net"), run(beta, "client", "net")
    prefix = f"/netyard/v1/endpoints/{net}/"
    (key,) = (
        key
        for key in pair.shared_keys()
        if key.startswith(prefix) and "client" in pair.etcdctl("get", key).stdout
    )
    entry = json.loads(pair.etcdctl("get", "--print-value-only", key).stdout)
    nonsense = {
        f"{prefix}x": "{",
        f"{prefix}y": json.dumps(entry),
        f"{prefix}{'1' * 64}": json.dumps({**entry, "id": "1" * 64, "mac": "nobody's"}),
        # Of the other family: the kernel refuses it.
        f"{prefix}{'2' * 64}": json.dumps({**entry, "id": "2" * 64, "via": "2001:db8::1"}),
        "/netyard/v1/hosts/x": "[]",
        "/netyard/v1/networks/x": json.dumps({"id": "../../x"}),
    }
    for where, value in nonsense.items():
        pair.etcdctl("put", where, value)
    # To those who follow, and to an agent that begins with a snapshot of it.
    for again in range(2):
        late = run(alpha, f"late{again}", "net")
        wait_for(lambda late=late: late.ping("client") and client.ping(late.name))  # type: ignore[misc]
        assert names(client, late.name) == [late.address("net")]
        beta.kill_agent()
        beta.ny("ps")
    assert client.ping("web") and web.ping("client")
    assert {"alpha", "beta"} <= set(beta.ny("host", "ls").split())
    beta.ny("network", "create", "-d", "overlay", "other")
    wait_for(lambda: knows(alpha, "other"))
    late = [name for name in alpha.ny("ps", "--format", "{{.Names}}").split() if name != "web"]
    alpha.ny("rm", "-f", "web", *late)
    beta.ny("rm", "-f", "client")
    for where in list(nonsense)[2:4]:
        pair.etcdctl("del", where)
    assert f"at {prefix}x, that cannot be read" in alpha.refused("network", "rm", "net")
    for where in list(nonsense)[:2]:
        pair.etcdctl("del", where)
    alpha.ny("network", "rm", "net")
    assert "passed over what is at" in beta.out("sh", "-c", "cat /run/netyard*/agent.log")


def test_etcd_is_killed(pair: Cluster) -> None:
    """What runs goes on, with names; what is new fails in a sentence; nothing is missed after."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    web, client = run(alpha, "web", "net"), run(beta, "client", "net")
    run(alpha, "gone", "net")
    alpha.ny("network", "create", "-d", "overlay", "idle")
    kept = "grep -q client /run/netyard/remotes-*"
    wait_for(lambda: alpha.run("sh", "-c", kept, check=False).returncode == 0)
    pair.stop_etcd()
    before = alpha.snapshot()
    assert web.ping("client") and client.ping("web")
    for command in (
        "run -d --name new --network net true",
        "network create -d overlay other",
        "network rm idle",
    ):
        status = 125 if command.startswith("run") else 1
        complaint = alpha.refused(*command.split(), status=status)
        assert "etcd at http://10.99.0.2:2379 cannot be used: Connection refused" in complaint
    assert alpha.snapshot() == before
    assert alpha.ny("network", "inspect", "net")
    alpha.ny("rm", "-f", "gone")
    alpha.kill_agent()
    alpha.ny("ps")
    assert web.ping("client"), "a new agent takes names away"
    pair.start_etcd()
    wait_for(lambda: names(client, "gone") == [], what="what was removed meanwhile is still there")
    new = run(alpha, "new", "net")
    wait_for(lambda: client.ping("new"))
    assert new.ping("client")


def test_history_is_compacted(pair: Cluster) -> None:
    """An agent that was cut off while history was compacted finds out what has changed."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    run(alpha, "old", "net")
    client = run(beta, "client", "net")
    pair.cut(beta)
    alpha.ny("rm", "-f", "old")
    run(alpha, "new", "net")
    revision = json.loads(pair.etcdctl("get", "x", "-w", "json").stdout)["header"]["revision"]
    pair.etcdctl("compact", str(revision))
    pair.mend(beta)
    wait_for(lambda: client.ping("new"), seconds=30)
    assert names(client, "old") == []


def test_a_host_is_away_longer_than_its_lease(trio: Cluster) -> None:
    """Its names and addresses are freed after the lease and not before; back, it has what is left."""
    alpha, beta, gamma = trio.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    client = run(alpha, "client", "net")
    here, taken = run(beta, "here", "net"), run(beta, "taken", "net")
    address = taken.address("net")
    wait_for(lambda: client.ping("taken"))
    trio.cut(beta)
    assert names(client, "taken") == [address], "given up at once"
    refusal = gamma.netyard(
        *f"run -d --name new --network net --ip {address} sleep 600".split(), check=False
    )
    assert (
        f"{address} of network 'net' belongs to container 'taken' on host 'beta'" in refusal.stderr
    )
    wait_for(lambda: names(client, "taken") == [], seconds=20)
    new = run(gamma, "new", "net", "--ip", address)
    assert client.ping(address)
    assert here.ping("taken"), "what is cut off has lost its own"
    trio.mend(beta)
    wait_for(lambda: client.ping("here"), seconds=30)
    assert client.ping("new") and new.ping("here")
    # The address is another's now; its container has a new one.
    wait_for(lambda: taken.address("net") not in ("", address), seconds=20)
    wait_for(lambda: names(client, "taken") == [taken.address("net")])
    assert client.ping("taken") and new.ping("taken") and here.ping("taken")


_MANY = """
from netyard.api.container import Container
for number in range(100):
    Container.run("sleep", "600", name=f"NAME-{number}", network="net")
"""
_NONE = """
from netyard.api.container import Container
for each in Container.list(all=True):
    each.remove(force=True)
"""


def test_three_hosts_with_a_hundred_containers_each(trio: Cluster) -> None:
    """All are reached and resolved from everywhere, no address is given twice, nothing is left."""
    trio.hosts[0].ny("network", "create", "-d", "overlay", "--subnet", "10.7.0.0/16", "net")
    for machine in trio.hosts:
        wait_for(lambda machine=machine: knows(machine, "net"))  # type: ignore[misc]
    at_once(trio, lambda machine: machine.python(_MANY.replace("NAME", machine.name), timeout=200))
    listed = [machine.ny("network", "inspect", "-v", "net") for machine in trio.hosts]
    endpoints = [json.loads(text)[0]["Endpoints"] for text in listed]
    assert endpoints[0] == endpoints[1] == endpoints[2]
    assert len({each["Addresses"][0] for each in endpoints[0].values()}) == 300
    for machine in trio.hosts:
        device = next(name for name in machine.links() if name.startswith("vx-"))
        wait_for(
            lambda machine=machine, device=device: (
                machine.out("ip", "neigh", "show", "dev", device).count("PERMANENT") == 200
            )
        )  # type: ignore[misc]
        client = Guest(machine, f"{machine.name}-50")
        for other in trio.hosts:
            for number in (0, 99):
                assert client.ping(f"{other.name}-{number}")
    at_once(trio, lambda machine: machine.python(_NONE, timeout=200))
    trio.hosts[1].ny("network", "rm", "net")
    for machine in trio.hosts:
        wait_for(lambda machine=machine: not overlay_links(machine))  # type: ignore[misc]
    assert not [key for key in trio.shared_keys() if "/endpoints/" in key or "/addresses/" in key]


def at_once(found: Cluster, work: Callable[[Machine], object]) -> None:
    """Do something on all hosts at the same time."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(work, found.hosts))


def test_drift_is_repaired(pair: Cluster) -> None:
    """What somebody did to the kernel: by `reload` at once, by the agent when etcd was away."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    web, client = run(alpha, "web", "net"), run(beta, "client", "net")
    wait_for(lambda: client.ping("web"))
    device = next(name for name in beta.links() if name.startswith("vx-"))

    def spoil() -> None:
        beta.run("ip", "neigh", "flush", "dev", device, "nud", "permanent")
        beta.run("ip", "neigh", "add", "10.0.0.77", "lladdr", "02:00:00:00:00:77", "dev", device)
        mac = "02:00:00:00:00:78"
        beta.run(
            "bridge", "fdb", "add", mac, "dev", device, "dst", "10.99.1.2", "self", "permanent"
        )
        beta.run("ip", "neigh", "flush", "all")
        client.run("ip", "neigh", "flush", "all", check=False)

    def is_mended() -> bool:
        known = beta.out("ip", "neigh", "show", "dev", device) + beta.out(
            "bridge", "fdb", "show", "dev", device
        )
        return client.ping("web") and "00:77" not in known and "00:78" not in known

    spoil()
    assert not is_mended()
    beta.ny("reload")
    assert is_mended()
    spoil()
    pair.stop_etcd()
    pair.start_etcd()
    wait_for(is_mended, seconds=20)
    beta.run("ip", "link", "del", device)
    assert not client.ping("web")
    beta.ny("reload")
    assert client.ping("web") and web.ping("client")


def test_etcd_has_lost_everything(pair: Cluster) -> None:
    """Hosts notice that it is not the etcd they knew, and what is made then is seen by all."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "lost")
    for number in range(3):
        alpha.ny("network", "create", "-d", "overlay", f"more{number}")
    wait_for(lambda: knows(beta, "more2"))
    pair.stop_etcd()
    pair.etcd.run("rm", "-rf", "/var/lib/etcd")
    pair.start_etcd()
    for machine in pair.hosts:
        wait_for(lambda machine=machine: not knows(machine, "lost"), seconds=20)  # type: ignore[misc]
    alpha.ny("network", "create", "-d", "overlay", "new")
    web, client = run(alpha, "web", "new"), run(beta, "client", "new")
    wait_for(lambda: client.ping("web") and web.ping("client"))


def test_firewalls_of_the_hosts(pair: Cluster) -> None:
    """FW31: plain VXLAN is not let in by itself; who makes the network is told what to allow."""
    alpha, beta = pair.hosts
    firewalls.enable_ufw(alpha)
    firewalls.start_firewalld(beta)
    told = alpha.netyard("network", "create", "-d", "overlay", "net").stderr
    assert "chain ip filter INPUT filters packets to this host: allow UDP port 4789" in told
    assert "ip6" not in told, "the underlay is IPv4"
    web, client = run(alpha, "web", "net"), run(beta, "client", "net")
    assert not web.ping("client")
    assert not client.ping("web")
    assert "network 'net' it must accept UDP port 4789 from the other hosts" in alpha.ny("doctor")
    assert "firewalld filters packets to this host" in beta.ny("doctor")
    alpha.run(*"ufw allow proto udp from 10.99.2.2 to any port 4789".split())
    beta.run("firewall-cmd", "--add-port=4789/udp")
    assert web.ping("client")
    assert client.ping("web")
