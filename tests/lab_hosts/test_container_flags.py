"""Every flag of ``run`` and ``network connect`` that issue 1 left out, seen from inside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from lab import HOST, SERVER, Guest, Lab, Machine, wait_for


def _links(guest: Guest) -> list[str]:
    return [link["ifname"] for link in json.loads(guest.run("ip", "-j", "link").stdout)]


def _inspect(host: Machine, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(host.ny("inspect", name))
    return found[0]


def test_long_form_of_network(host: Machine) -> None:
    """RN3, RN4, RN15, RN16, RN18: everything of an endpoint in one flag, several of them."""
    host.ny("network", "create", "--subnet", "10.1.0.0/24", "Web")
    host.ny("network", "create", "--subnet", "10.2.0.0/24", "--ipv6", "back")
    host.ny(
        *"run -d --name box --network".split(),
        "name=Web,alias=w1,alias=w2,ip=10.1.0.77,mac-address=02:00:00:00:00:99",
        "--network",
        '"name=back","driver-opt=com.docker.network.endpoint.ifname=data0",'
        "link-local-ip=169.254.9.9,link-local-ip=fe80::99,"
        '"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,'
        'net.ipv4.conf.IFNAME.mc_forwarding=0"'.replace(
            ",net.ipv4.conf.IFNAME.mc_forwarding=0", ""
        ),
        *"sleep 600".split(),
    )
    host.ny(*"run -d --name peer --network Web --network back sleep 600".split())
    box, peer = Guest(host, "box"), Guest(host, "peer")
    assert _links(box) == ["lo", "eth0", "data0"]
    assert box.address("Web") == "10.1.0.77"
    assert "02:00:00:00:00:99" in box.run("ip", "link", "show", "eth0").stdout
    assert peer.dig("w1") == peer.dig("w2") == "10.1.0.77"
    assert box.run("cat", "/proc/sys/net/ipv4/conf/data0/log_martians").stdout == "1\n"
    assert "169.254.9.9" in box.run("ip", "addr", "show", "data0").stdout
    assert peer.ping("fe80::99%eth1")
    settings = _inspect(host, "box")["NetworkSettings"]["Networks"]
    assert settings["back"]["IPAMConfig"]["LinkLocalIPs"] == ["169.254.9.9", "fe80::99"]


@pytest.mark.parametrize("mode", ["0", "1"])
def test_link_local_addresses_reach_each_other(host: Machine, mode: str) -> None:
    """RN15: within the network, with br_netfilter or without; and no further."""
    host.run("sh", "-c", f"echo {mode} > /proc/sys/net/bridge/bridge-nf-call-iptables")
    host.ny("network", "create", "net")
    for number in ("1", "2"):
        flags = ["--network", "net", "--link-local-ip", f"169.254.9.{number}"]
        host.ny("run", "-d", "--name", f"box{number}", *flags, "sleep", "600")
    done = Guest(host, "box1").run("ping", "-c1", "-W1", "-I", "169.254.9.1", "169.254.9.2")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--network", "name=net,color=red"], "color"),
        (["--network", "alias=x"], "name="),
        (["--network", "name=net,ip"], "'ip'"),
        (["--network", "name=net,gw-priority=high"], "high"),
        (["--network", "name=net,ip=10.9.0.1", "--ip", "10.9.0.2"], "both"),
        (["--network", "net", "--network", "bridge"], "default network"),
        (["--network", "net", "--network", "net"], "twice"),
        (["--network", "net", "--link-local-ip", "10.0.0.1"], "10.0.0.1"),
        (["--network", "net", "--link-local-ip", "fe80::5"], "no IPv6"),
        (["--network", "name=net,driver-opt=speed=9"], "speed"),
        (["--network", "name=net,driver-opt=com.docker.network.endpoint.ifname=lo"], "lo"),
        (["--network", "net", "--link", ":x"], ":x"),
        (["--network", "net", "--link", "a:b:c"], "a:b:c"),
        (["--sysctl", "kernel.shmmax=1"], "kernel.shmmax"),
        (["--sysctl", "net.ipv4.conf.eth0.log_martians=1"], "driver-opt"),
        (["--sysctl", "net.ipv4.no_such_thing=1"], "net.ipv4.no_such_thing"),
        (["--network", "host", "--sysctl", "net.ipv4.ip_forward=1"], "--sysctl"),
        (["--network", "host", "--link", "x"], "--link"),
        (["--network", "none", "--ip", "10.0.0.1"], "--ip"),
        (["--env-file", "/nonexistent"], "/nonexistent"),
        (["--env", "=x"], "=x"),
    ],
)
def test_bad_flags(host: Machine, flags: list[str], word: str) -> None:
    """RN4 to RN21: one sentence, and nothing is left."""
    host.ny("network", "create", "net")
    before = host.snapshot()
    assert word in host.refused("run", *flags, "true", status=125)
    wait_for(lambda: host.snapshot() == before)


def test_default_gateway_choice(lab: Lab, host: Machine) -> None:
    """RN8, NO4: priority, then not internal, then both families, then the name; live, too."""
    for name, flags in {"aa": [], "bb": ["--ipv6"], "in": ["--internal"], "zz": []}.items():
        host.ny("network", "create", *flags, name)
    host.ny(*"run -d --name box --network aa --network in --network zz sleep 600".split())
    box = Guest(host, "box")

    def way_out() -> str:
        words = box.run("ip", "route", "get", "203.0.113.5").stdout.split()
        return words[words.index("dev") + 1]

    assert way_out() == "eth0", "aa by its name"
    host.ny("network", "connect", "bb", "box")
    assert way_out() == "eth3", "bb has both families"
    host.ny("network", "disconnect", "zz", "box")
    host.ny("network", "connect", "--gw-priority", "5", "zz", "box")
    assert way_out() == "eth2", "zz has the highest priority, and its old name is free"
    host.ny("network", "disconnect", "zz", "box")
    assert way_out() == "eth3"
    host.ny("network", "disconnect", "bb", "box")
    host.ny("network", "connect", "--gw-priority", "-1", "bb", "box")
    assert way_out() == "eth0", "a negative one comes last"
    assert "whole number" in host.refused("network", "connect", "--gw-priority", "x", "zz", "box")


def test_links(host: Machine) -> None:
    """RN20: hosts lines on the default network, private names on one's own."""
    host.ny(*"run -d --name db --hostname store sleep 600".split())
    host.ny(*"run -d --name app --link db:backend sleep 600".split())
    app, address = Guest(host, "app"), Guest(host, "db").address("bridge")
    assert f"{address}\tbackend store db" in app.run("cat", "/etc/hosts").stdout
    assert app.ping("backend")
    host.ny("stop", "-t", "0", "db")
    host.ny("start", "db")
    assert app.ping("backend"), "after a restart"
    host.ny("stop", "-t", "0", "db")
    assert "does not run" in host.refused("run", "--link", "db:x", "true", status=125)
    host.ny("network", "create", "net")
    host.ny(*"run -d --name one --network net --link late:friend sleep 600".split())
    host.ny(*"run -d --name two --network net sleep 600".split())
    one, two = Guest(host, "one"), Guest(host, "two")
    assert one.dig("friend") == ""
    host.ny(*"run -d --name late --network net sleep 600".split())
    assert one.dig("friend") == Guest(host, "late").address("net")
    assert two.dig("friend") == "", "nobody else knows it"


def test_sysctls_and_no_ipv6(host: Machine) -> None:
    """RN21, RN22: settings of the namespace; without IPv6 there is no such address or line."""
    host.ny("network", "create", "--ipv6", "net")
    host.ny(
        *"run -d --name box --network net --sysctl net.ipv4.tcp_syncookies=0".split(),
        *"--sysctl net.ipv6.conf.all.disable_ipv6=1 sleep 600".split(),
    )
    box = Guest(host, "box")
    assert box.run("cat", "/proc/sys/net/ipv4/tcp_syncookies").stdout == "0\n"
    assert host.out("cat", "/proc/sys/net/ipv4/tcp_syncookies") == "1"
    assert "inet6" not in box.run("ip", "addr", "show", "eth0").stdout
    assert "::1" not in box.run("cat", "/etc/hosts").stdout
    assert box.dig("box", "AAAA") == ""


def test_environment_from_files_and_proxies(host: Machine) -> None:
    """PX1 to PX6: --env beats the file, both beat the proxy settings, each spelling by itself."""
    host.run("mkdir", "-p", "/run/home/.docker", "/run/home/.netyard")

    def configure(directory: str, proxies: str) -> None:
        host.run("tee", f"/run/home/{directory}/config.json", input=proxies)

    def variables(*flags: str) -> dict[str, str]:
        command = (sys.executable, "-m", "netyard", "run", "--rm", "--network", "none", *flags)
        out = host.run(*command, "env", env={"HOME": "/run/home", "SHELL_VAR": "mine"}).stdout
        return dict(line.partition("=")[::2] for line in out.splitlines())

    configure(
        ".docker",
        '{"proxies": {"default": {"httpProxy": "http://u:p@proxy:3128", "noProxy": "a"}}}',
    )
    found = variables("-e", "http_proxy=")
    assert found["HTTP_PROXY"] == "http://u:p@proxy:3128"
    assert found["http_proxy"] == ""
    assert (found["NO_PROXY"], found["no_proxy"]) == ("a", "a")
    assert "FTP_PROXY" not in found
    configure(".netyard", '{"proxies": {"default": {"allProxy": "socks5://s"}}}')
    host.run("tee", "/run/home/vars", input="# comment\n\nA=1\nB=from file\nSHELL_VAR\n")
    found = variables("--env-file", "/run/home/vars", "-e", "A=2")
    assert (found["A"], found["B"], found["SHELL_VAR"]) == ("2", "from file", "mine")
    assert (found["ALL_PROXY"], found["all_proxy"]) == ("socks5://s", "socks5://s")
    assert "HTTP_PROXY" not in found
    configure(".netyard", '{"proxies": \n{')
    command = (sys.executable, "-m", "netyard", "run", "--network", "none", "true")
    done = host.run(*command, env={"HOME": "/run/home"}, check=False)
    assert done.returncode == 125
    assert "/run/home/.netyard/config.json, line 2" in done.stderr


def test_ports_of_a_running_container(lab: Lab, host: Machine) -> None:
    """US1: published and taken back without a restart, kept over one, nothing else disturbed."""
    host.ny("network", "create", "--ipv6", "net")
    serve = (sys.executable, "-S", SERVER, "80", "81", "82")
    host.ny(*"run -d --name web --network net".split(), *serve)
    wait_for(lambda: host.fetch(Guest(host, "web").address("net"), 82))
    added = host.ny("port", "add", "web", "8080:80", "8081-8082:81-82").splitlines()
    assert "80/tcp -> 0.0.0.0:8080" in added and len(added) == 6
    for port in (8080, 8081, 8082):
        assert lab.neighbour.fetch(HOST, port)
        assert host.fetch("::1", port)
    assert Guest(host, "web").fetch(HOST, 8080), "its own port"
    assert "8080 is taken by container 'web'" in host.refused("port", "add", "web", "8080:82")
    host.ny("port", "add", "web", "8083:80")
    assert lab.neighbour.fetch(HOST, 8083), "one more beside those it has"
    host.ny("port", "rm", "web", "8083:80")
    assert lab.neighbour.fetch(HOST, 8083) is None
    assert Guest(host, "web").fetch(HOST, 8080), "what its ports share stays"
    host.ny("port", "rm", "web", "8081:81")
    assert lab.neighbour.fetch(HOST, 8081) is None
    assert lab.neighbour.fetch(HOST, 8082), "the rest of the range stays"
    assert host.fetch("::1", 8080)
    host.ny("stop", "-t", "0", "web")
    host.ny("start", "web")
    wait_for(lambda: lab.neighbour.fetch(HOST, 8082))
    assert lab.neighbour.fetch(HOST, 8081) is None
    host.ny("port", "rm", "web", "80", "82")
    assert host.ny("port", "web") == ""
    assert "not published" in host.refused("port", "rm", "web", "80")
    assert "8080" not in host.out("nft", "list", "ruleset")


def test_rename_wait_kill_top(host: Machine) -> None:
    """RN30: names move at once; statuses, signals and processes as Docker shows them."""
    host.ny("network", "create", "net")
    host.ny(*"run -d --name one --network net sleep 600".split())
    host.ny(
        *"run -d --name two --network net".split(),
        "sh",
        "-c",
        "trap 'exit 7' USR1; sleep 600 & wait",
    )
    two = Guest(host, "two")
    assert two.dig("one")
    host.ny("rename", "one", "uno")
    assert two.dig("uno") == Guest(host, "uno").address("net")
    assert two.dig("one") == ""
    assert two.dig("-x", Guest(host, "uno").address("net")) == "uno.net."
    assert "exists" in host.refused("rename", "uno", "two")
    rows = host.ny("top", "two").splitlines()
    assert rows[0].split() == ["UID", "PID", "PPID", "TIME", "CMD"]
    assert any("sleep 600" in row for row in rows[1:])
    waiting = host.popen(sys.executable, "-m", "netyard", "wait", "two", stdout=subprocess.PIPE)
    time.sleep(0.5)
    host.ny("kill", "-s", "USR1", "two")
    assert waiting.communicate()[0] == b"7\n"
    assert host.ny("wait", "two") == "7"
    assert "no signal" in host.refused("kill", "-s", "SIGNONSENSE", "uno")
    assert "not running" in host.refused("kill", "two")
    host.ny("kill", "uno")
    assert host.ny("wait", "uno") == "137"


def test_events(host: Machine) -> None:
    """A line for each thing that happens, as it happens."""
    # What it misses while it starts is told first.
    words = ("-m", "netyard", "events", "--since", "10m")
    stream = host.popen(sys.executable, *words, stdout=subprocess.PIPE)
    host.ny("network", "create", "net")
    host.netyard("run", "--name", "box", "--network", "net", "sh", "-c", "exit 3", check=False)
    host.ny("network", "create", "other")
    host.ny("network", "connect", "other", "box")
    host.ny("network", "disconnect", "other", "box")
    host.ny("rm", "box")
    host.ny("network", "rm", "net", "other")
    lines = []
    assert stream.stdout is not None
    while len(lines) < 12:
        lines.append(json.loads(stream.stdout.readline()))
    seen = [(line["Type"], line["Action"]) for line in lines]
    assert seen == [
        ("network", "create"),
        ("container", "create"),
        ("container", "start"),
        ("network", "connect"),
        ("network", "disconnect"),
        ("container", "die"),
        ("network", "create"),
        ("network", "connect"),
        ("network", "disconnect"),
        ("container", "destroy"),
        ("network", "destroy"),
        ("network", "destroy"),
    ]
    assert lines[5]["Actor"]["Attributes"]["exitCode"] == "3"
    past = host.ny(
        *"events --since 10m --until 0s --filter event=die --format".split(),
        "{{.Actor.Attributes.name}}",
    )
    assert past == "box"


def test_ps_filters_and_format(host: Machine) -> None:
    """NL2, NL3 for containers."""
    host.ny("network", "create", "net")
    host.ny(*"run -d --name web --network net -p 8080:80 --label a=1 sleep 600".split())
    host.ny(*"create --name idle --expose 90 true".split())
    host.netyard("run", "--name", "failed", "sh", "-c", "exit 4", check=False)

    def names(*flags: str) -> list[str]:
        return host.ny("ps", "-a", "--format", "{{.Names}}", *flags).split()

    assert names("-f", "network=net") == ["web"]
    assert names("-f", "label=a=1") == ["web"]
    assert names("-f", "publish=80") == names("-f", "publish=8080/tcp") == ["web"]
    assert names("-f", "expose=90") == ["idle"]
    assert names("-f", "exited=4") == ["failed"]
    assert names("-f", "status=created", "-f", "status=running") == ["idle", "web"]
    assert names("-f", "since=web") == ["failed", "idle"]
    assert names("-f", "before=failed") == ["idle", "web"]
    assert host.ny("ps", "-f", "status=exited", "--format", "{{.Names}}") == "failed"
    template = '{{(index .NetworkSettings.Networks "net").IPAddress}} '
    template += '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'
    assert host.ny("inspect", "-f", template, "web").split()[1] == "8080"
    assert "KEY=VALUE" in host.refused("ps", "-f", "colour=red")


def test_networks_that_cannot_be_joined_later(host: Machine) -> None:
    """NO2, ND1: host and none are for a whole life."""
    host.ny("network", "create", "net")
    host.ny(*"run -d --name own --network net sleep 600".split())
    host.ny(*"run -d --name outer --network host sleep 600".split())
    host.ny(*"run -d --name alone --network none sleep 600".split())
    host.ny(*"run -d --name joiner --network container:own sleep 600".split())
    for network in ("host", "none"):
        assert "when a container is created" in host.refused("network", "connect", network, "own")
        assert "cannot be left" in host.refused("network", "disconnect", network, "own")
    for name in ("outer", "alone", "joiner"):
        assert "joins no networks" in host.refused("network", "connect", "net", name)
    host.ny("network", "disconnect", "-f", "net", "nobody")


def test_links_without_icc_are_refused(host: Machine) -> None:
    """RN20: netyard does not open ports behind a network's back."""
    host.ny("config", "set", "icc", "false")
    host.ny(*"run -d --name db sleep 600".split())
    assert "icc is off" in host.refused("run", "--link", "db", "true", status=125)
