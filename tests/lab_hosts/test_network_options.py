"""Every option of a bridge network and every flag of ``network create``, seen in the kernel."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from lab import HOST, INTERNET, NEIGHBOUR, SERVER, Guest, Lab, Machine, wait_for


def _inspect(host: Machine, network: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(host.ny("network", "inspect", network))
    return found[0]


def _serve(host: Machine, name: str, network: str, *flags: str) -> Guest:
    command = (sys.executable, "-S", SERVER, "80")
    host.ny("run", "-d", "--name", name, "--network", network, *flags, *command)
    return Guest(host, name)


def test_bridge_name_prefix_and_mtu(host: Machine) -> None:
    """BO1, NC18: device name, interface prefix and MTU as asked, under long or short names."""
    host.ny(*"network create -o com.docker.network.bridge.name=lab0 -o mtu=1400".split(), "one")
    host.ny(*"network create -o name=lab1 -o iface_prefix=net --ipv6".split(), "two")
    assert {"lab0", "lab1"} <= host.links()
    host.ny("run", "-d", "--name", "box", "--network", "one", "--network", "two", "sleep", "600")
    links = json.loads(Guest(host, "box").run("ip", "-j", "link").stdout)
    assert [(link["ifname"], link["mtu"]) for link in links[1:]] == [("eth0", 1400), ("net0", 1500)]
    assert "1280" in host.refused("network", "create", "--ipv6", "-o", "mtu=1000", "bad")
    assert "lab0" in host.refused("network", "create", "-o", "name=lab0", "bad")


def test_existing_bridge_is_used_and_left(host: Machine) -> None:
    """BO1: its address is the gateway; it stays when the network goes."""
    host.run("ip", "link", "add", "mine", "type", "bridge")
    host.run("ip", "link", "set", "mine", "up")
    host.run("ip", "addr", "add", "10.77.0.9/24", "dev", "mine")
    complaint = host.refused(
        *"network create -o name=mine --subnet 10.77.0.0/24 --gateway 10.77.0.1 bad".split()
    )
    assert "10.77.0.1" in complaint and "10.77.0.9" in complaint
    host.run("ip", "link", "add", "other", "type", "veth", "peer", "name", "end")
    assert "no bridge" in host.refused("network", "create", "-o", "name=other", "bad")
    host.ny("network", "create", "-o", "name=mine", "taken")
    assert _inspect(host, "taken")["IPAM"]["Config"][0]["Gateway"] == "10.77.0.9"
    web = _serve(host, "web", "taken", "-p", "8080:80")
    wait_for(lambda: host.fetch("127.0.0.1", 8080))
    assert web.ping("10.77.0.9")
    host.ny("rm", "-f", "web")
    host.ny("network", "rm", "taken")
    assert "mine" in host.links()
    assert "10.77.0.9" in host.out("ip", "addr", "show", "mine")
    assert host.out("cat", "/proc/sys/net/ipv4/conf/mine/route_localnet") == "0"


def test_inhibited_address(lab: Lab, host: Machine) -> None:
    """BO9: the gateway is a machine on the segment, and the bridge has no address."""
    host.run("ip", "link", "add", "seg", "type", "bridge")
    host.run("ip", "link", "set", "seg", "up")
    lab.plug(lab.neighbour, "198.51.100.20", "2001:db8:5::20", "eth1")
    lab.plug(host, "198.51.100.10", "2001:db8:5::10", "eth1")
    host.run("ip", "addr", "flush", "dev", "eth1")
    host.run("ip", "link", "set", "eth1", "master", "seg")
    host.ny(
        *"network create -o name=seg -o inhibit=true --subnet 198.51.100.0/24".split(),
        *"--gateway 198.51.100.20 --ip-range 198.51.100.128/25 lan".split(),
    )
    host.ny("run", "-d", "--name", "box", "--network", "lan", "sleep", "600")
    box = Guest(host, "box")
    assert "198.51.100" not in host.out("ip", "addr", "show", "seg")
    assert "default via 198.51.100.20" in box.run("ip", "route").stdout
    assert box.ping("198.51.100.20"), "the neighbour on the segment"
    assert lab.neighbour.ping(box.address("lan"))


def test_auxiliary_gateway(lab: Lab, host: Machine) -> None:
    """NC7: an auxiliary address of a magic name is the containers' way out."""
    host.ny(
        *"network create --subnet 10.66.0.0/24 --aux-address DefaultGatewayIPv4=10.66.0.77".split(),
        *"--aux-address printer=10.66.0.2 aux".split(),
    )
    config = _inspect(host, "aux")["IPAM"]["Config"][0]
    assert config["AuxiliaryAddresses"] == {
        "DefaultGatewayIPv4": "10.66.0.77",
        "printer": "10.66.0.2",
    }
    host.ny("run", "-d", "--name", "box", "--network", "aux", "sleep", "600")
    box = Guest(host, "box")
    assert box.address("aux") == "10.66.0.3", "the bridge has .1, the printer .2"
    assert "default via 10.66.0.77" in box.run("ip", "route").stdout
    magic = "DefaultGatewayIPv4=10.67.0.7"
    for flags in (["--internal"], ["--ipv6"]):
        if flags == ["--ipv6"]:
            magic = "DefaultGatewayIPv6=10.67.0.7"
        assert "DefaultGateway" in host.refused(
            *"network create --subnet 10.67.0.0/24 --aux-address".split(), magic, *flags, "bad"
        )


def test_host_binding(lab: Lab, host: Machine) -> None:
    """BO4: where ports go that name no host address; IPv6 alone by an IPv6 address."""
    host.ny("network", "create", "--ipv6", "-o", "host_binding=127.0.0.1", "four")
    host.ny(
        *"network create --ipv6 -o com.docker.network.bridge.host_binding_ipv4=::".split(), "six"
    )
    _serve(host, "aa", "four", "-p", "8080:80")
    _serve(host, "bb", "six", "-p", "8081:80")
    assert host.ny("port", "aa") == "80/tcp -> 127.0.0.1:8080"
    assert host.ny("port", "bb") == "80/tcp -> [::]:8081"
    wait_for(lambda: host.fetch("127.0.0.1", 8080) and host.fetch("::1", 8081))
    assert lab.neighbour.fetch(HOST, 8080) is None
    assert lab.neighbour.fetch(HOST, 8081) is None


def test_fixed_source_address(lab: Lab, host: Machine) -> None:
    """BO11: the way out has one source address instead of the interface's."""
    lab.serve_internet()
    host.run("ip", "addr", "add", "192.0.2.50/24", "dev", "eth0")
    host.ny("network", "create", "-o", "host_ipv4=192.0.2.50", "net")
    host.ny("run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    assert Guest(host, "box").fetch(INTERNET, 80) == "hello 192.0.2.50"
    done = host.netyard("network", "create", "-o", "host_ipv4=192.0.2.99", "elsewhere")
    assert "192.0.2.99 is no address of this host" in done.stderr


def test_ipv6_only_network(lab: Lab, host: Machine) -> None:
    """NC8, DN2: no IPv4 at all, and names all the same."""
    lab.serve_internet()
    host.ny("network", "create", "--ipv4=false", "--ipv6", "six")
    web = _serve(host, "web", "six", "-p", "8080:80")
    host.ny("run", "-d", "--name", "peer", "--network", "six", "sleep", "600")
    peer = Guest(host, "peer")
    assert "inet " not in web.run("ip", "addr", "show", "eth0").stdout
    assert web.address("six", version=6).startswith("fd"), "IP9: a unique local address"
    wait_for(lambda: peer.fetch("web", 80))
    assert host.ny("port", "web") == "80/tcp -> [::]:8080"
    assert lab.neighbour.fetch("2001:db8::10", 8080)
    assert lab.neighbour.fetch(HOST, 8080) is None
    assert "at least one family" in host.refused("network", "create", "--ipv4=false", "bad")


def test_any_free_subnet_of_a_size(host: Machine) -> None:
    """NC4, IP3: 0.0.0.0/26 and ::/80 are cut from the default pools."""
    host.ny(*"network create --subnet 0.0.0.0/26 --subnet ::/80 small".split())
    subnets = [each["Subnet"] for each in _inspect(host, "small")["IPAM"]["Config"]]
    assert subnets[0].endswith("/26") and subnets[1].endswith("/80")
    assert "as large" in host.refused("network", "create", "--subnet", "0.0.0.0/4", "bad")


def test_a_subnet_that_covers_the_host_is_warned_about(host: Machine) -> None:
    """IP5: the user is trusted, and told."""
    done = host.netyard("network", "create", "--subnet", "192.0.0.0/16", "--internal", "wide")
    assert "covers 192.0.2.10, an address of this host" in done.stderr


def test_config_only_and_config_from(host: Machine) -> None:
    """NC16, NC17: settings under a name, taken by others, kept while they are used."""
    before = host.links()
    host.ny(
        *"network create --config-only --subnet 10.55.0.0/24 --ip-range 10.55.0.128/25".split(),
        *"-o mtu=1300 --label team=a kept".split(),
    )
    assert host.links() == before
    assert host.ny("network", "ls", "-f", "name=kept", "--format", "{{.Driver}} {{.Scope}}") == (
        "null local"
    )
    host.ny("network", "create", "--config-from", "kept", "made")
    made = _inspect(host, "made")
    assert made["ConfigFrom"] == {"Network": "kept"}
    assert made["IPAM"]["Config"][0]["IPRange"] == "10.55.0.128/25"
    assert (made["Labels"], made["Options"]) == (
        {"team": "a"},
        {"com.docker.network.driver.mtu": "1300"},
    )
    assert _inspect(host, "kept")["ConfigOnly"] is True
    assert "made" in host.refused("network", "rm", "kept")
    host.ny("run", "-d", "--name", "box", "--network", "bridge", "sleep", "600")
    assert "settings" in host.refused("network", "connect", "kept", "box")
    assert "settings" in host.refused("run", "--network", "kept", "true", status=125)
    for wrong in (
        ["--config-only", "--internal"],
        ["--config-only", "--attachable"],
        ["--config-from", "kept", "--subnet", "10.1.0.0/24"],
        ["--config-from", "kept", "--ipv6"],
        ["--config-from", "nothing"],
        ["--config-from", "bridge"],
    ):
        assert wrong[0] in host.refused("network", "create", *wrong, "bad")
    host.ny("network", "rm", "made", "kept")


def test_network_without_addresses(host: Machine) -> None:
    """NC14: the null IPAM driver gives none, and an interface all the same."""
    host.ny("network", "create", "--ipam-driver", "null", "bare")
    host.ny("run", "-d", "--name", "box", "--network", "bare", "sleep", "600")
    box = Guest(host, "box")
    assert "inet " not in box.run("ip", "addr", "show", "eth0").stdout
    assert _inspect(host, "bare")["IPAM"] == {"Driver": "null", "Options": {}, "Config": []}
    assert "no subnet" in host.refused(
        "run", "--network", "bare", "--ip", "10.0.0.9", "true", status=125
    )
    assert "known are default, dhcp, null" in host.refused(
        "network", "create", "--ipam-driver", "dhcpd", "bad"
    )


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["-o", "icc=perhaps"], "perhaps"),
        (["-o", "mtu=big"], "big"),
        (["-o", "gateway_mode=fast"], "nat-unprotected"),
        (["-o", "gateway_mode=isolated"], "--internal"),
        (["-o", "host_binding=here"], "here"),
        (["-o", "host_ipv4=::1"], "::1"),
        (["-o", "trusted=averyveryverylongname"], "averyveryverylongname"),
        (["-o", "iface_prefix=a/b"], "a/b"),
        (["-o", "name=a b"], "a b"),
        (["-o", "com.docker.network.advertise_addr_nmsgs=3"], "use 1"),
        (["-o", "com.docker.network.advertise_addr_ms=200"], "one announcement"),
        (["-o", "com.docker.network.bridge.enable_ic=false"], "enable_icc"),
        (["-o", "com.docker.network.bridge.default_bridge=true"], "built-in"),
        (["--ingress"], "swarm"),
        (["--scope", "swarm"], "swarm"),
        (["--scope", "global"], "global"),
        (["--subnet", "fe80::/48", "--ipv6"], "fe80::/64"),
        (["--subnet", "10.1.0.0/24", "--subnet", "10.2.0.0/24"], "one IPv4 subnet"),
        (["--subnet", "fd00::/64", "--ipv6=false"], "--ipv6"),
        (["--aux-address", "x="], "x="),
        (["--ipam-opt", "x"], "KEY=VALUE"),
    ],
)
def test_bad_options(host: Machine, flags: list[str], word: str) -> None:
    """NC3 to NC18, BO1 to BO12: one sentence that names the value, and nothing changed."""
    before = host.snapshot()
    assert word in host.refused("network", "create", *flags, "bad")
    assert host.snapshot() == before


def test_settings_of_a_root(lab: Lab, host: Machine) -> None:
    """BO14, IP2: defaults for every network of a root; a network's own option wins."""
    lab.serve_internet()
    pools = '[{"base": "10.40.0.0/16", "size": 24}]'
    host.ny("config", "set", "default-address-pools", pools)
    host.ny("config", "set", "bip", "10.41.0.1/24")
    host.ny("config", "set", "fixed-cidr", "10.41.0.128/25")
    host.ny("config", "set", "mtu", "1350")
    host.ny("config", "set", "default-network-opts", '{"bridge": {"mtu": 1380, "icc": false}}')
    host.ny("config", "set", "host-gateway-ips", "192.0.2.10")
    assert json.loads(host.ny("config"))["bip"] == "10.41.0.1/24"
    host.ny("network", "create", "net")
    host.ny("network", "create", "-o", "mtu=1390", "own")
    assert _inspect(host, "net")["IPAM"]["Config"][0]["Subnet"] == "10.40.0.0/24"
    assert _inspect(host, "net")["Options"]["com.docker.network.driver.mtu"] == "1380"
    assert _inspect(host, "own")["Options"]["com.docker.network.driver.mtu"] == "1390"
    host.ny(*"run -d --name box --add-host up:host-gateway sleep 600".split())
    box = Guest(host, "box")
    assert box.address("bridge") == "10.41.0.128"
    assert "mtu 1350" in box.run("ip", "link", "show", "eth0").stdout
    assert "192.0.2.10\tup" in box.run("cat", "/etc/hosts").stdout
    assert "in use by containers box" in host.refused("config", "set", "mtu", "1400")
    assert json.loads(host.ny("config"))["mtu"] == 1350, "and nothing changed"
    host.ny("config", "set", "dns-ttl", "5")  # is no business of the default network
    for key, value in (
        ("mtus", "1"),
        ("bip", "10.41.0.0/24"),
        ("userland-proxy", "true"),
        ("dns", "x"),
        ("default-address-pools", '[{"base": "10.40.0.0/16", "size": 8}]'),
        ("bridge-accept-fwmark", "red"),
    ):
        assert key in host.refused("config", "set", key, value)


def test_settings_of_the_built_in_network_change_when_nothing_is_on_it(host: Machine) -> None:
    """BO14: its bridge is made anew; containers on it are named, and as the hint says it works."""
    untouched = host.out("nft", "list", "ruleset")

    def set_all(mtu: str, icc: str, bridge_address: str, addresses: str) -> None:
        host.ny("config", "set", "mtu", mtu)
        host.ny("config", "set", "icc", icc)
        host.ny("config", "set", "bip", bridge_address)
        host.ny("config", "set", "fixed-cidr", addresses)

    set_all("1350", "true", "10.41.0.1/24", "10.41.0.128/25")
    host.ny("run", "--rm", "true")
    assert "netyard0" in host.links()
    set_all("1340", "false", "10.41.0.9/24", "10.41.0.64/26")
    assert "netyard0" not in host.links(), "until the next container joins it"
    assert host.out("nft", "list", "ruleset") == untouched
    host.ny("run", "-d", "--name", "web", "sleep", "600")
    host.ny("create", "--name", "db", "true")
    web = Guest(host, "web")
    assert web.address("bridge") == "10.41.0.64"
    assert "mtu 1340" in web.run("ip", "link", "show", "eth0").stdout
    assert "via 10.41.0.9 " in web.run("ip", "route").stdout
    assert "apart" in host.out("nft", "list", "ruleset"), "no icc"
    before = host.snapshot(), host.ny("config")
    for words in (("set", "mtu", "1500"), ("unset", "icc"), ("set", "bip", "10.41.0.7/24")):
        assert host.refused("config", *words) == (
            "netyard: config: network 'bridge' is in use by containers db, web and keeps its "
            "settings\nhint: disconnect or remove these containers, then give the command again"
        )
    assert (host.snapshot(), host.ny("config")) == before
    host.ny("network", "disconnect", "bridge", "web")
    host.ny("rm", "db")
    host.ny("config", "unset", "fixed-cidr")
    set_all("1500", "true", "10.42.0.1/24", "10.42.0.128/25")
    host.ny("network", "connect", "bridge", "web")
    assert web.address("bridge") == "10.42.0.128"
    assert "mtu 1500" in web.run("ip", "link").stdout
    assert "apart" not in host.out("nft", "list", "ruleset")


def test_marked_packets_and_direct_routing(lab: Lab, host: Machine) -> None:
    """FW33, BO14: a firewall mark opens unpublished ports; direct routing opens published ones."""
    host.ny("config", "set", "bridge-accept-fwmark", "0x8/0xf")
    host.ny("network", "create", "--subnet", "10.45.0.0/24", "net")
    web = _serve(host, "web", "net")
    lab.neighbour.run("ip", "route", "add", "10.45.0.0/24", "via", HOST)
    wait_for(lambda: host.fetch(web.address("net"), 80))
    assert lab.neighbour.fetch("10.45.0.2", 80) is None
    host.run("nft", "add table inet admin")
    host.run("nft", "add chain inet admin marking { type filter hook prerouting priority mangle; }")
    host.run("nft", "add rule inet admin marking iifname eth0 meta mark set 0x18")
    assert lab.neighbour.fetch("10.45.0.2", 80) == f"hello {NEIGHBOUR}"
    host.run("nft", "delete table inet admin")
    host.ny("config", "set", "allow-direct-routing", "true")
    host.ny("port", "add", "web", "8080:80")
    assert lab.neighbour.fetch("10.45.0.2", 80) == f"hello {NEIGHBOUR}"


def test_filters_templates_and_prune(host: Machine) -> None:
    """NL1 to NL3, NI2, NP1, NP2, NR2: found by filter, shown by template, pruned if unused."""
    host.ny("network", "create", "--label", "env=prod", "--label", "tier=1", "web2")
    host.ny("network", "create", "--label", "env=prod", "web10")
    host.ny("network", "create", "--label", "env=dev", "db")
    host.ny("create", "--name", "stopped", "--network", "db", "true")

    def ls(*flags: str) -> list[str]:
        return host.ny("network", "ls", "--format", "{{.Name}}", *flags).split()

    assert ls() == ["bridge", "db", "host", "none", "web2", "web10"], "natural order"
    assert ls("-f", "name=^web") == ["web2", "web10"]
    assert ls("-f", "name=web2", "-f", "name=db") == ["db", "web2"]
    assert ls("-f", "label=env=prod", "-f", "label=tier") == ["web2"]
    assert ls("-f", "type=builtin") == ["bridge", "host", "none"]
    assert ls("-f", "driver=null") == ["none"]
    assert ls("-f", "scope=swarm") == []
    assert ls("-f", "dangling=true") == ["web2", "web10"], "a stopped container counts"
    assert ls("-f", "dangling=false") == ["db"]
    for wrong in ("color=red", "type=mine", "dangling=perhaps", "name"):
        host.refused("network", "ls", "-f", wrong)
    template = 'table {{.Name}}\\t{{.Label "env"}}\\t{{json .IPv6}}'
    assert host.ny("network", "ls", "-f", "name=web", "--format", template).splitlines() == [
        "NAME    LABEL   IPV6",
        'web2    prod    "false"',
        'web10   prod    "false"',
    ]
    assert "there is no field" in host.refused("network", "ls", "--format", "{{.Colour}}")
    assert "not supported" in host.refused("network", "ls", "--format", "{{else x}}")
    subnet = host.ny("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "db")
    assert subnet == _inspect(host, "db")["IPAM"]["Config"][0]["Subnet"]
    status = _inspect(host, "db")["Status"]["IPAM"]["Subnets"][subnet]
    assert status == {"IPsInUse": 4, "DynamicIPsAvailable": 65532}
    assert "Deleted" not in host.ny("network", "prune", "--filter", "until=10m"), "nobody said y"
    assert host.ny("network", "prune", "-f", "--filter", "until=10m") == "", "none is so old"
    assert "until" in host.refused("network", "prune", "-f", "--filter", "until=soon")
    assert host.ny("network", "prune", "-f", "--filter", "label!=tier").split() == [
        "Deleted",
        "Networks:",
        "web10",
    ]
    host.run("sh", "-c", f"echo n | {sys.executable} -m netyard network prune")
    assert ls("-f", "type=custom") == ["db", "web2"]
    host.run("sh", "-c", f"echo y | {sys.executable} -m netyard network prune")
    assert ls("-f", "type=custom") == ["db"]


def test_announcements(host: Machine) -> None:
    """NC18, IP8: an address that may be known is announced at once, or, by option, not at all."""
    quiet = ("-o", "com.docker.network.advertise_addr_nmsgs=0")
    for number, (name, flags) in enumerate({"loud": (), "quiet": quiet}.items()):
        subnet = f"10.91.{number}.0/24"
        host.ny("network", "create", "-o", f"name={name}", *flags, "--subnet", subnet, name)
        seen = host.capture(name, "arp")
        new, again, asked_for = (f"10.91.{number}.{last}" for last in (2, 3, 9))
        host.ny("run", "-d", "--name", f"new-{name}", "--network", name, "true")
        host.ny("run", "--rm", "--network", name, "true")
        host.ny("run", "-d", "--name", f"again-{name}", "--network", name, "true")
        last = ("--ip", asked_for, "--name", f"last-{name}", "--network", name)
        host.ny("run", "-d", *last, "sleep", "600")
        # What is asked now comes after whatever was announced.
        gateway = f"10.91.{number}.1"
        assert Guest(host, f"last-{name}").ping(gateway)
        wait_for(lambda seen=seen, last=f"{gateway} tell {asked_for}": last in seen())
        shown = seen()
        announced = {each for each in (new, again, asked_for) if f"{each} tell {each}" in shown}
        assert announced == ({again, asked_for} if name == "loud" else set()), shown


def test_strict_binding(lab: Lab, host: Machine) -> None:
    """FW26: by choice, a port on one address is asked through that address' interface only."""
    lab.plug(host, "192.0.2.66", "2001:db8::66", "eth1")
    host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")
    host.run("ip", "addr", "add", "198.51.100.1/32", "dev", "eth1")
    lab.neighbour.run("ip", "route", "add", "198.51.100.1/32", "via", HOST)
    host.ny("network", "create", "net")
    _serve(host, "web", "net", "-p", "198.51.100.1:8080:80")
    wait_for(lambda: lab.neighbour.fetch("198.51.100.1", 8080))
    host.ny("config", "set", "strict-binding", "true")
    host.ny("reload")
    assert lab.neighbour.fetch("198.51.100.1", 8080) is None, "it comes in by eth0"
    lab.neighbour.run("ip", "route", "replace", "198.51.100.1/32", "via", "192.0.2.66")
    assert lab.neighbour.fetch("198.51.100.1", 8080)


def test_what_is_kept_and_shown(host: Machine) -> None:
    """NC10, NC12, NC13, NC15, NI1: attachable, scope, labels, IPAM options, in Docker's shape."""
    host.ny(
        *"network create --attachable --scope local --label a=1 --label b --ipam-opt k=v".split(),
        *"-o org.example.note=mine kept".split(),
    )
    shown = _inspect(host, "kept")
    assert shown["Attachable"] is True
    assert (shown["Scope"], shown["Ingress"]) == ("local", False)
    assert shown["Labels"] == {"a": "1", "b": ""}
    assert shown["IPAM"]["Options"] == {"k": "v"}
    assert shown["Options"] == {"org.example.note": "mine"}
    keys = "Name Id Created Scope Driver EnableIPv4 EnableIPv6 IPAM Internal Attachable Ingress"
    assert list(shown)[:11] == keys.split()
    assert host.ny("network", "inspect", "-f", "json", "kept").startswith('{"Name": "kept"')
