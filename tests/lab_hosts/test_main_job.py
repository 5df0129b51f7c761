"""The main job: containers on a named network reach each other by name and address."""

from __future__ import annotations

import json

from lab import HOST, INTERNET, Guest, Lab, Machine, wait_for


def test_containers_of_a_network_reach_each_other_by_name_and_address(host: Machine) -> None:
    """Contract 0.1, FW2 column S, DN4: the example of Docker's overview page."""
    host.ny("network", "create", "-d", "bridge", "my-net")
    made = host.ny("run", "--network=my-net", "-itd", "--name=container3", "busybox", "sh")
    assert len(made) == 64
    by_name = host.ny("run", "--rm", "--network", "my-net", "busybox", "ping", "-c1", "container3")
    assert "1 packets received" in by_name
    address = Guest(host, "container3").address("my-net")
    by_address = host.ny("run", "--rm", "--network", "my-net", "busybox", "ping", "-c1", address)
    assert "1 packets received" in by_address
    by_id = host.ny("run", "--rm", "--network", "my-net", "ping", "-c1", made[:12])
    assert "1 received" in by_id


def test_default_network_goes_out_through_masquerade(lab: Lab, host: Machine) -> None:
    """RN1, FW14: the server outside sees the host's address."""
    lab.serve_internet()
    seen = host.ny("run", "--rm", "nc", "-d", "-w2", INTERNET, "80")
    assert seen == f"hello {HOST}"


def test_default_network_has_copied_resolv_conf_and_no_names(lab: Lab, host: Machine) -> None:
    """BO13, RS1: the host's servers, not netyard's; no container names."""
    lab.serve_internet()
    host.ny("run", "-d", "--name", "web", "sleep", "60")
    shown = host.ny("run", "--rm", "cat", "/etc/resolv.conf")
    assert "nameserver 192.0.2.1" in shown
    assert "127.0.0.11" not in shown
    assert INTERNET in host.ny("run", "--rm", "getent", "hosts", "example.test")
    assert host.netyard("run", "--rm", "getent", "hosts", "web", check=False).returncode == 2 or (
        INTERNET in host.ny("run", "--rm", "getent", "hosts", "web")  # web.lab.test, outside
    )


def test_loopback_servers_are_not_copied(host: Machine) -> None:
    """RS1, RS2: with nothing reachable left, public servers."""
    host.run("sh", "-c", "echo nameserver 127.0.0.53 > /etc/resolv.conf")
    shown = host.ny("run", "--rm", "cat", "/etc/resolv.conf")
    assert "127.0.0.53" not in shown
    assert "nameserver 8.8.8.8" in shown


def test_none_has_only_loopback(host: Machine) -> None:
    """RN9a."""
    links = json.loads(host.ny("run", "--rm", "--network", "none", "ip", "-j", "addr"))
    assert [link["ifname"] for link in links] == ["lo"]
    assert "UP" in links[0]["flags"]
    assert host.ny("run", "--rm", "--network", "none", "ip", "route") == ""


def test_host_mode_sees_the_hosts_interfaces(host: Machine) -> None:
    """RN9: own hostname files, the host's network."""
    links = json.loads(host.ny("run", "--rm", "--network", "host", "ip", "-j", "link"))
    assert {"lo", "eth0"} <= {link["ifname"] for link in links}
    assert host.ny("run", "--rm", "--network", "host", "hostname") == "host"
    done = host.netyard("run", "--rm", "--network", "host", "-p", "80:80", "true")
    assert "published ports are discarded" in done.stderr


def test_files_and_identity_of_a_container(host: Machine) -> None:
    """EH1, EH2, EH7, RN10, RS5: made for each container, changed only there."""
    before = host.out("sh", "-c", "cat /etc/hosts /etc/hostname; hostname")
    host.ny("network", "create", "net", "--subnet", "10.55.0.0/24")
    shown = host.ny(
        *"run --rm --network net -h web.example.org --add-host db:10.9.9.9".split(),
        *("--add-host", "gw:host-gateway"),
        *("sh", "-c", "cat /etc/hosts; hostname; cat /etc/hostname; echo $HOSTNAME"),
    )
    assert "127.0.0.1\tlocalhost" in shown
    assert "10.9.9.9\tdb" in shown
    assert "10.55.0.1\tgw" in shown
    assert "10.55.0.2\tweb.example.org web" in shown
    assert shown.splitlines()[-3:] == ["web.example.org"] * 3
    assert "::1" not in shown, "an IPv4-only container has no IPv6 lines"
    resolv = host.ny("run", "--rm", "--network", "net", "cat", "/etc/resolv.conf")
    assert resolv.count("nameserver") == 1
    assert "nameserver 127.0.0.11" in resolv
    assert "search lab.test" in resolv
    assert "ndots:0" in resolv
    host.ny("run", "--rm", "--network", "net", "sh", "-c", "echo spoilt > /etc/hosts")
    assert host.out("sh", "-c", "cat /etc/hosts /etc/hostname; hostname") == before


def test_container_does_not_see_netyards_state_or_the_hosts_processes(host: Machine) -> None:
    """The agent's socket, other containers' namespaces and the host's processes are hidden."""
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "other", "--network", "net", "sleep", "60")
    seen = host.ny(
        "run", "--rm", "--network", "net", "sh", "-c", "ls -A /run/netyard /var/lib/netyard"
    )
    assert seen.split() == ["/run/netyard:", "/var/lib/netyard:"]
    assert "nsfs" not in host.ny("run", "--rm", "--network", "net", "cat", "/proc/self/mountinfo")
    processes = host.ny("run", "--rm", "--network", "net", "ps", "-e", "-o", "comm=")
    assert processes.split() == ["ps"]
    denied = host.netyard("run", "--rm", "ip", "link", "add", "x", "type", "bridge", check=False)
    assert denied.returncode != 0, "a container may not change its interfaces by default"
    done = host.netyard(
        "run", "--rm", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward", check=False
    )
    assert done.returncode != 0


def test_dual_stack_network(lab: Lab, host: Machine) -> None:
    """NC8, IP9, DN8: a ULA is chosen; names and the way out work in both families."""
    lab.serve_internet()
    host.ny("network", "create", "--ipv6", "six")
    config = json.loads(host.ny("network", "inspect", "six"))[0]["IPAM"]["Config"]
    assert config[1]["Subnet"].startswith("fd")
    assert config[1]["Subnet"].endswith("/64")
    host.ny("run", "-d", "--network", "six", "--name", "web", "sleep", "60")
    other = host.ny("run", "-d", "--network", "six", "--name", "other", "sleep", "60")
    guest, web = Guest(host, other), Guest(host, "web")
    assert guest.dig("AAAA", "web") == web.address("six", version=6)
    assert guest.ping(web.address("six", version=6))
    assert guest.run("ping", "-6", "-c1", "-W2", "six.test").returncode == 0
    assert "::1\tlocalhost" in guest.run("cat", "/etc/hosts").stdout


def test_ipv4_only_network_has_no_ipv6_at_all(host: Machine) -> None:
    """SH7: not even a link-local address, on either side."""
    host.ny("network", "create", "four")
    addresses = host.ny("run", "--rm", "--network", "four", "ip", "-6", "addr", "show", "eth0")
    assert addresses == ""
    bridge = json.loads(host.ny("network", "inspect", "four"))[0]["Id"][:12]
    assert host.out("ip", "-6", "addr", "show", f"br-{bridge}") == ""


def test_an_address_works_at_once_for_its_next_owner(host: Machine) -> None:
    """IP8: the lowest free address is reused, and nobody remembers the old MAC."""
    host.ny("network", "create", "net", "--subnet", "10.66.0.0/24")
    host.ny("run", "-d", "--name", "asker", "--network", "net", "--ip", "10.66.0.9", "sleep", "60")
    asker = Guest(host, "asker")
    for name in ("first", "second"):
        host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "60")
        assert Guest(host, name).address("net") == "10.66.0.2"
        assert asker.ping("10.66.0.2"), name
        assert host.ping("10.66.0.2"), name
        host.ny("rm", "-f", name)


def test_ends_leave_nothing_behind(host: Machine) -> None:
    """CV3: after removal, the kernel is as before netyard was used."""
    links, rules = host.links(), host.out("nft", "list", "ruleset")
    forwarding = host.out("cat", "/proc/sys/net/ipv4/ip_forward")
    host.ny("network", "create", "--ipv6", "net")
    host.ny("run", "-d", "--name", "web", "--network", "net", "-p", "8080:80", "sleep", "60")
    assert len(host.own_processes()) >= 2, "the agent, and the container's shim"
    host.ny("rm", "-f", "web")
    host.ny("network", "rm", "net")
    wait_for(lambda: host.links() == links, what="interfaces are gone")
    assert host.out("nft", "list", "ruleset") == rules
    assert host.out("cat", "/proc/sys/net/ipv4/ip_forward") == forwarding
    assert host.out(
        "ls", "/run/netyard/netns", "/run/netyard/c", "/var/lib/netyard/logs"
    ).split() == [
        "/run/netyard/c:",
        "/run/netyard/netns:",
        "/var/lib/netyard/logs:",
    ]
    wait_for(lambda: not host.own_processes(), seconds=15)
