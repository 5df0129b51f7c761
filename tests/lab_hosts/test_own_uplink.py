"""Adopted namespaces that have a way out of their own: it stands back, and is there afterwards."""

from __future__ import annotations

import pytest

from lab import Machine, wait_for

# Where the namespace's own way out leads to, and nothing of netyard's does.
_FAR = {4: "198.18.0.1", 6: "2001:2::1"}


@pytest.fixture
def guest(host: Machine) -> str:
    """A namespace whose default routes lead to another one, which answers at `_FAR`."""
    script = """
    ip netns add guest; ip netns add uplink
    ip -n guest link add own0 type veth peer name eth0 netns uplink
    ip -n uplink addr add 10.99.0.1/24 dev eth0; ip -n uplink addr add 198.18.0.1/32 dev lo
    ip -n uplink addr add fd99::1/64 dev eth0 nodad; ip -n uplink addr add 2001:2::1/128 dev lo nodad
    ip -n guest addr add 10.99.0.2/24 dev own0; ip -n guest addr add fd99::2/64 dev own0 nodad
    for each in uplink guest; do ip -n $each link set lo up; done
    ip -n uplink link set eth0 up; ip -n guest link set own0 up
    ip -n guest route add default via 10.99.0.1
    ip -n guest -6 route add default via fd99::1
    ip -n uplink route add default via 10.99.0.2; ip -n uplink -6 route add default via fd99::2
    """
    host.run("sh", "-e", "-c", script)
    return "guest"


def _goes_its_own_way(host: Machine) -> list[bool]:
    """Whether the namespace reaches what only its own way out leads to, by IPv4 and IPv6."""
    return [
        host.run(*f"ip netns exec guest ping -c1 -W1 {address}".split(), check=False).returncode
        == 0
        for address in _FAR.values()
    ]


def _first_hops(host: Machine) -> list[str]:
    return [
        host.out(*f"ip -n guest route get {address}".split()).split(" dev ")[1].split()[0]
        for address in _FAR.values()
    ]


def test_own_way_out_comes_back(host: Machine, guest: str) -> None:
    """Ours goes before the namespace's own while it is on a network, however that ends (RN8)."""
    assert _goes_its_own_way(host) == [True, True]
    host.ny("network", "create", "--ipv6", "net")
    host.ny("network", "create", "--ipv6", "other")
    host.ny("adopt", guest, "--netns", "/run/netns/guest", "--network", "net")
    ours = _first_hops(host)
    assert ours == ["eth0", "eth0"]
    # The one that comes first by name carries them, and they come back.
    host.ny("network", "connect", "other", guest)
    host.ny("network", "disconnect", "net", guest)
    assert "own0" not in _first_hops(host)
    host.ny("network", "disconnect", "other", guest)
    assert _goes_its_own_way(host) == [True, True]
    host.ny("network", "connect", "net", guest)
    assert _goes_its_own_way(host) == [False, False]
    host.ny("reload")
    host.ny("abandon", guest)
    assert _goes_its_own_way(host) == [True, True]


def test_own_metric_is_left_alone(host: Machine, guest: str) -> None:
    """A default route that is not in the way stays as it is, whatever netyard does to its own."""
    host.run(*"ip -n guest route del default".split())
    host.run(*"ip -n guest route add default via 10.99.0.1 metric 100".split())
    before = host.out(*"ip -n guest route show default".split())
    for name in ("a", "b"):
        host.ny("network", "create", name)
    host.ny("adopt", guest, "--netns", "/run/netns/guest", "--network", "b")
    host.ny("network", "connect", "a", guest)
    host.ny("network", "disconnect", "a", guest)
    host.ny("network", "disconnect", "b", guest)
    assert host.out(*"ip -n guest route show default".split()) == before


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in-batch"])
def test_failure_changes_nothing(host: Machine, guest: str, together: bool) -> None:
    """What fails once the interface is there leaves the namespace the way out it had."""
    look = "ip -n guest route; ip -n guest -6 route | grep -v fe80"
    before = host.out("sh", "-c", look)
    host.ny("network", "create", "--ipv6", "net")
    host.serve("8080")
    wait_for(lambda: host.fetch("127.0.0.1", 8080))
    adopt = ("adopt", guest, "--netns", "/run/netns/guest", "-p", "8080:80", "--network")
    assert "8080" in host.refused(*adopt, "net")
    assert host.out("sh", "-c", look) == before
    host.ny("network", "create", "--internal", "inner")
    host.ny(*adopt, "inner")
    before = host.out("sh", "-c", look)
    connect = "Network.get('net', host=host).connect('guest')"
    code = f"    with host.batch():\n        {connect}" if together else f"    {connect}"
    told = host.python(
        "from netyard import Host, Network, NetyardError\nhost = Host()\n"
        f"try:\n{code}\nexcept NetyardError as error:\n    print(error)"
    )
    assert "8080" in told
    assert host.out("sh", "-c", look) == before
    assert _goes_its_own_way(host) == [True, True]
