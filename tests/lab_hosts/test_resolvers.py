"""resolv.conf, upstreams and caching, asked by dig, glibc, musl, busybox and Python."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import INTERNET, ROUTER, SLOWNESS, Guest, Lab, Machine, wait_for

SOURCE = Path(__file__).parents[1] / "musl_lookup.c"


@pytest.fixture(scope="session")
def musl_lookup(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that asks as musl does."""
    program = tmp_path_factory.mktemp("musl") / "lookup"
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", program, SOURCE], check=True)
    program.chmod(0o755)
    for parent in list(program.parents)[:3]:
        parent.chmod(0o755)
    return str(program)


def _set_resolv_conf(host: Machine, text: str) -> None:
    host.run("sh", "-c", "cat > /etc/resolv.conf", input=text)


def _resolv_conf(guest: Guest) -> str:
    return guest.run("cat", "/etc/resolv.conf").stdout


@pytest.mark.parametrize("flags", [[], ["--ipv6"]], ids=["ipv4", "dual-stack"])
def test_musl_never_misses_a_local_name(lab: Lab, musl_lookup: str, flags: list[str]) -> None:
    """RS8: one name server only, whatever the host has, so musl has nobody else to believe."""
    lab.serve_internet()
    _set_resolv_conf(lab.host, f"nameserver {ROUTER}\nnameserver 2001:db8::1\nsearch lab.test\n")
    lab.host.ny("network", "create", *flags, "net")
    for name in ("server", "client"):
        lab.host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "600")
    client = Guest(lab.host, "client")
    assert _resolv_conf(client).count("nameserver") == 1
    assert client.run(musl_lookup, "server", "10000").stdout == "0 misses\n"
    assert client.run(musl_lookup, "web.lab.test", "20").stdout == "0 misses\n"


def test_resolv_conf_on_the_default_network(host: Machine) -> None:
    """RS1 to RS4, DN25: a copy without what cannot be reached, overridden word by word."""
    _set_resolv_conf(
        host,
        "nameserver 127.0.0.53\nnameserver ::1\nnameserver 2001:db8::1\nnameserver 192.0.2.1\n"
        "domain old.test\nsearch a.test b.test\noptions timeout:1\noptions rotate\nsortlist 10.0.0.0\n",
    )

    def made(*flags: str) -> list[str]:
        text = host.ny("run", "--rm", *flags, "cat", "/etc/resolv.conf")
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    assert made() == [
        "nameserver 192.0.2.1",
        "search a.test b.test",
        "options timeout:1 rotate",
        "sortlist 10.0.0.0",
    ]
    assert made("--dns", "127.0.0.1", "--dns-search", ".", "--dns-option", "ndots:3") == [
        "nameserver 127.0.0.1",
        "options ndots:3",
        "sortlist 10.0.0.0",
    ]
    assert "nameserver 127.0.0.53" in made("--network", "host"), "RS9: nothing stripped"
    _set_resolv_conf(host, "nameserver 127.0.0.53\n")
    assert made() == ["nameserver 8.8.8.8", "nameserver 8.8.4.4"], "RS2"
    host.run("mkdir", "-p", "/run/systemd/resolve")
    host.run("tee", "/run/systemd/resolve/resolv.conf", input="nameserver 192.0.2.7\n")
    assert made() == ["nameserver 192.0.2.7"], "the stub is on the host's loopback"


def test_stub_on_the_hosts_loopback_is_asked_from_the_host(lab: Lab, host: Machine) -> None:
    """DN18, DN24, DN25: 127.0.0.53 is an upstream; a change of the file counts within a second."""
    host.popen(
        *"dnsmasq -k --no-resolv --no-hosts --user=root --pid-file= --bind-interfaces".split(),
        *"--listen-address=127.0.0.53 --address=/stub.test/10.9.9.9".split(),
    )
    host.ny("network", "create", "net")
    host.ny(*"run -d --name box --network net sleep 600".split())
    box = Guest(host, "box")
    _set_resolv_conf(
        host, "nameserver fe80::1%nothing\nnameserver garbage\nnameserver 127.0.0.53\n"
    )
    wait_for(lambda: box.dig("stub.test") == "10.9.9.9", seconds=3)
    assert _resolv_conf(box).startswith("nameserver 127.0.0.11\n")


def test_link_local_upstream_with_a_zone(lab: Lab, host: Machine) -> None:
    """DN24, US13: the zone is an interface of the host."""
    lab.serve_internet()
    address = json.loads(lab.internet.out("ip", "-j", "-6", "addr", "show", "eth0"))
    local = next(
        entry["local"] for entry in address[0]["addr_info"] if entry["local"].startswith("fe80")
    )
    answer = (
        "import socket\ns=socket.socket(10,2); s.setsockopt(41,26,1); s.bind(('::',53))\n"
        "while True:\n"
        " d,p=s.recvfrom(999); end=d.index(b'\\0',12)+5\n"
        " s.sendto(d[:2]+b'\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0'+d[12:end]"
        "+b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4\\xcb\\0\\x71\\5',p)\n"
    )
    lab.internet.popen(sys.executable, "-S", "-c", answer)
    _set_resolv_conf(host, f"nameserver {local}%eth0\n")
    host.ny("network", "create", "net")
    host.ny(*"run -d --name box --network net sleep 600".split())
    box = Guest(host, "box")
    wait_for(lambda: box.dig("+noedns", "zone.test") == INTERNET, seconds=8)


def test_answers_of_upstreams_are_kept(lab: Lab, host: Machine) -> None:
    """DN22: asked once, answered often; not across servers; never a name that becomes local."""
    lab.serve_internet()
    lab.internet.popen(
        *"dnsmasq -k --no-resolv --no-hosts --user=root --pid-file= --bind-interfaces".split(),
        *"--listen-address=203.0.113.5 --log-queries --log-facility=/run/ttl.log --local-ttl=60".split(),
        *"--address=/kept.test/203.0.113.9 --address=/late.test/203.0.113.10".split(),
    )
    _set_resolv_conf(host, "nameserver 203.0.113.5\n")
    host.ny("network", "create", "net")
    for name in ("one", "two"):
        host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "600")
    host.ny(*f"run -d --name own --network net --dns {ROUTER} sleep 600".split())
    one, own = Guest(host, "one"), Guest(host, "own")
    plain = ("+noedns", "+short", "+time=2")
    wait_for(lambda: one.run("dig", *plain, "kept.test").stdout)
    for _ in range(5):
        assert one.run("dig", *plain, "KEPT.test").stdout == "203.0.113.9\n"
    asked = lab.internet.out("cat", "/run/ttl.log").lower().count("query[a] kept.test")
    assert asked == 1
    shown = one.run("dig", "+noedns", "kept.test").stdout
    time.sleep(1.1)
    later = one.run("dig", "+noedns", "kept.test").stdout
    ttl = [int(text.split("kept.test.")[2].split()[0]) for text in (shown, later)]
    assert ttl[1] < ttl[0] <= 60
    assert own.run("dig", *plain, "kept.test").stdout == "", "other servers were asked"
    assert one.run("dig", *plain, "late.test").stdout == "203.0.113.10\n"
    host.ny(*"run -d --name late --network net --network-alias late.test sleep 600".split())
    assert one.dig("late.test") == Guest(host, "late").address("net")
    counters = json.loads(host.ny("agent", "--stats"))
    assert counters["cached"] >= 6


def test_many_questions_at_once(lab: Lab, host: Machine) -> None:
    """DN17, DN20: a slow upstream with hundreds of questions on their way; local names at once."""
    slow = (
        "import select,socket,time\n"
        "from collections import deque\n"
        "s=socket.socket(2,2); s.bind(('0.0.0.0',53)); late=deque()\n"
        "while True:\n"
        " wait=max(0,late[0][0]-time.monotonic()) if late else None\n"
        " if select.select([s],[],[],wait)[0]:\n"
        "  data,peer=s.recvfrom(999)\n"
        "  answer=data[:2]+b'\\x81\\x80'+data[4:6]+b'\\0\\0\\0\\0\\0\\0'"
        "+data[12:data.index(b'\\0',12)+5]\n"
        "  late.append((time.monotonic()+0.8,answer,peer))\n"
        " while late and late[0][0]<=time.monotonic():\n"
        "  s.sendto(*late.popleft()[1:])\n"
    )
    lab.internet.popen(sys.executable, "-S", "-c", slow)
    host.ny("network", "create", "net")
    for name in ("busy", "other"):
        host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "600")
    flood = (
        "import socket,struct,time\n"
        "s=socket.socket(2,2); s.connect(('127.0.0.11',53)); s.settimeout(4)\n"
        "for i in range(500):\n"
        " s.send(struct.pack('>6H',i,256,1,0,0,0)+b'\\x04n%03d\\x04test\\0\\0\\x01\\0\\x01'%i)\n"
        " time.sleep(0.0005)\n"
        "print('sent',flush=True); got=set()\n"
        "while len(got)<500:\n"
        " d=s.recv(999); got.add(d[:2]); assert d[3]&15==0, d[3]\n"
        "print(len(got))\n"
    )
    busy = host.popen(
        sys.executable,
        "-m",
        "netyard",
        "exec",
        "busy",
        sys.executable,
        "-S",
        "-c",
        flood,
        stdout=-1,
    )
    assert busy.stdout is not None
    assert busy.stdout.readline() == b"sent\n"
    started = time.monotonic()
    assert Guest(host, "other").dig("busy")
    assert time.monotonic() - started < 0.8 * SLOWNESS, "not behind the other's questions"
    assert busy.stdout.readline() == b"500\n"


def test_names_are_for_shared_networks_in_gateway_order(host: Machine) -> None:
    """DN6: the first network that knows a name answers alone; others' names are unknown."""
    for name, subnet in (("aa", "10.81.0.0/24"), ("bb", "10.82.0.0/24"), ("cc", "10.83.0.0/24")):
        host.ny("network", "create", "--subnet", subnet, name)
        host.ny(*f"run -d --name on-{name} --network {name} --network-alias svc sleep 600".split())
    host.ny(*"run -d --name box --network bb --network aa sleep 600".split())
    box = Guest(host, "box")
    assert box.dig("svc") == "10.81.0.2", "aa comes first by its name"
    assert box.dig("svc.bb") == "10.82.0.2"
    assert box.dig("on-cc") == "" and box.dig("svc.cc") == ""
    host.ny("network", "disconnect", "bb", "box")
    host.ny("network", "connect", "--gw-priority", "9", "bb", "box")
    assert box.dig("svc") == "10.82.0.2", "bb has the default route now"


def test_internal_networks_and_a_server_of_their_own(lab: Lab, host: Machine) -> None:
    """DN21: the host's servers are not asked; a --dns server on the network itself is."""
    lab.serve_internet()
    host.ny("network", "create", "--internal", "--subnet", "10.84.0.0/24", "inside")
    host.ny(
        *"run -d --name resolver --ip 10.84.0.53 --network inside dnsmasq -k --no-resolv".split(),
        *"--no-hosts --user=root --pid-file= --address=/corp.test/10.84.0.99".split(),
    )
    host.ny(*"run -d --name box --network inside --dns 10.84.0.53 sleep 600".split())
    host.ny(*"run -d --name plain --network inside sleep 600".split())
    box, plain = Guest(host, "box"), Guest(host, "plain")
    wait_for(lambda: box.dig("corp.test") == "10.84.0.99")
    assert "SERVFAIL" in plain.run("dig", "example.test").stdout
    host.ny("network", "create", "outside")
    host.ny("network", "connect", "outside", "plain")
    assert plain.dig("example.test") == INTERNET, "re-evaluated on connect"
    host.ny("network", "disconnect", "outside", "plain")
    assert "SERVFAIL" in plain.run("dig", "six.test", "AAAA").stdout
    assert "corp.test" not in lab.asked_outside()
