"""The name server, asked as containers ask it."""

from __future__ import annotations

import sys
import time

import pytest

from lab import INTERNET, INTERNET6, Guest, Lab, Machine, wait_for


@pytest.fixture
def pair(lab: Lab) -> tuple[Guest, Guest]:
    """``web``, with aliases, and ``client`` on a dual-stack network; ``example.test`` outside."""
    lab.serve_internet()
    host = lab.host
    host.ny("network", "create", "--subnet", "10.44.0.0/24", "--ipv6", "my-net")
    host.ny(
        *"run -d --name Web --network my-net --network-alias www --network-alias db".split(),
        *"-h web.example.org sleep 600".split(),
    )
    host.ny(*"run -d --name client --network my-net sleep 600".split())
    return Guest(host, "Web"), Guest(host, "client")


def test_every_name_of_a_container(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """DN4, DN5, DN8, DN9: name, aliases, short id, host name, with the network's name, both ways."""
    web, client = pair
    identifier = lab.host.ny("inspect", "Web").split('"Id": "')[1][:12]
    for name in ("Web", "web", "WEB", "www", "db", identifier, "web.example.org", "web.my-net"):
        assert client.dig(name) == "10.44.0.2", name
        assert client.dig("AAAA", name) == web.address("my-net", version=6), name
    assert client.dig("-x", "10.44.0.2") == "Web.my-net."
    assert client.dig("-x", web.address("my-net", version=6)) == "Web.my-net."
    assert web.dig("web") == "10.44.0.2", "its own name, too (DN13)"
    assert client.dig("localhost") == client.dig("any.localhost") == "127.0.0.1"
    assert client.dig("AAAA", "localhost") == "::1"
    assert client.dig("-x", "127.0.0.1") == client.dig("-x", "::1") == "localhost."
    assert client.dig("-x", "127.0.0.11") == "", "and nobody is asked (DN13)"
    assert "127.in-addr" not in lab.asked_outside()
    assert client.dig("+tcp", "web") == "10.44.0.2"


def test_other_clients_than_dig(pair: tuple[Guest, Guest]) -> None:
    """DN2: glibc's resolver, busybox's and Python's."""
    _, client = pair
    assert "10.44.0.2" in client.run("getent", "ahostsv4", "www").stdout
    assert "10.44.0.2" in client.run("busybox", "nslookup", "www.").stdout
    code = "import socket; print(socket.gethostbyname('www'))"
    assert client.run(sys.executable, "-S", "-c", code).stdout.strip() == "10.44.0.2"


def test_answers_conform(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """DN8, DN9, DN10, DN14: NOERROR without records, NXDOMAIN, NOTIMP, FORMERR; nothing leaks."""
    _, client = pair

    def status(*arguments: str) -> str:
        return client.run("dig", "+time=2", *arguments).stdout.split("status: ")[1].split(",")[0]

    for kind in ("MX", "TXT", "HTTPS", "SRV", "ANY", "CNAME", "NS"):
        shown = client.run("dig", "+time=2", kind, "web").stdout
        assert "status: NOERROR" in shown, kind
        assert "ANSWER: 0" in shown, kind
    assert status("nowhere.example.org") in ("REFUSED", "NXDOMAIN", "SERVFAIL")
    assert status("-x", "10.44.0.99") == "NXDOMAIN"
    assert status("-c", "CH", "web") == "NOTIMP"
    assert status("+opcode=STATUS", "web") == "NOTIMP"
    seen = lab.asked_outside().lower()
    assert " web " not in seen
    assert "99.0.44.10" not in seen
    shown = client.run("dig", "+bufsize=1400", "web").stdout
    assert "EDNS: version: 0" in shown
    assert "EDNS" not in client.run("dig", "+noedns", "web").stdout
    assert status("+edns=1", "+noednsneg", "web") == "BADVERS"


def test_forwarding(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """DN16, DN18, DN19: other names are the host's servers' business, over UDP and TCP."""
    _, client = pair
    assert client.dig("example.test") == INTERNET
    assert client.dig("+tcp", "example.test") == INTERNET
    assert client.dig("AAAA", "six.test") == INTERNET6
    assert client.dig("ExAmPlE.tEsT") == INTERNET
    assert client.run("getent", "hosts", "web.lab.test").stdout.split()[0] == INTERNET


def test_dead_and_failing_upstreams(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """DN16, DN17, RS6: the next one is asked, in time for the client; none is SERVFAIL."""
    _, client = pair
    lab.host.run(
        "sh", "-c", "printf 'nameserver 192.0.2.99\\nnameserver 192.0.2.1\\n' > /etc/resolv.conf"
    )
    time.sleep(1.5)  # DN24: the agent follows the host's file
    for _ in range(3):
        assert client.dig("example.test") == INTERNET
    lab.host.run("sh", "-c", "echo > /etc/resolv.conf")
    shown = lambda: client.run("dig", "+time=4", "+tries=1", "example.test").stdout  # noqa: E731
    wait_for(lambda: "SERVFAIL" in shown())
    assert client.dig("web") == "10.44.0.2"


def test_own_servers_are_asked_from_the_container(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """RN11, DN18: --dns 127.0.0.1 is a server inside; the embedded one still leads."""
    host = lab.host
    host.ny(
        *"run -d --name own --network my-net --dns 127.0.0.1".split(),
        *"dnsmasq -k --no-resolv --no-hosts --user=root --pid-file= --listen-address=127.0.0.1".split(),
        *"--bind-interfaces --address=/inside.test/10.9.8.7".split(),
    )
    own = Guest(host, "own")
    wait_for(lambda: own.dig("inside.test") == "10.9.8.7")
    assert own.dig("web") == "10.44.0.2"
    assert own.dig("example.test") == ""


def test_container_may_have_port_53(pair: tuple[Guest, Guest]) -> None:
    """DN3: netyard's server leaves it free, on every address."""
    _, client = pair
    code = (
        "import socket\nfor kind in (1,2):\n"
        " s=socket.socket(2,kind); s.bind(('0.0.0.0',53))\nprint('bound')"
    )
    assert client.run(sys.executable, "-S", "-c", code).stdout.strip() == "bound"


def test_shared_alias_gives_all_addresses_in_turn(host: Machine) -> None:
    """DN7: all of them, another one first; a stopped one vanishes at once."""
    host.ny("network", "create", "net")
    for number in range(3):
        host.ny(*f"run -d --name r{number} --network net --network-alias svc sleep 600".split())
    host.ny(*"run -d --name client --network net sleep 600".split())
    client = Guest(host, "client")
    answers = [client.dig("svc").split() for _ in range(12)]
    assert {frozenset(answer) for answer in answers} == {frozenset(answers[0])}
    assert len(answers[0]) == 3
    assert len({answer[0] for answer in answers}) == 3
    host.ny("stop", "-t", "0", "r1")
    assert len(client.dig("svc").split()) == 2


def test_large_answers_are_cut_over_udp_and_whole_over_tcp(host: Machine) -> None:
    """DN15: 50 replicas."""
    code = (
        "from netyard import Container, Network\n"
        "import subprocess\n"
        "Network.create('net')\n"
        "for i in range(50):\n"
        "    subprocess.run(['ip', 'netns', 'add', f'n{i}'], check=True)\n"
        "    Container.adopt(f'r{i}', netns=f'/run/netns/n{i}', network='net', aliases=['svc'])\n"
    )
    host.python(code, timeout=110)
    host.ny(*"run -d --name client --network net sleep 600".split())
    client = Guest(host, "client")
    cut = client.run("dig", "+noedns", "+ignore", "svc").stdout
    assert " tc " in cut.split("flags:")[1].split(";")[0] + " "
    assert len(client.run("dig", "+noedns", "+short", "svc").stdout.split()) == 50
    assert (
        len(client.run("dig", "+bufsize=4096", "+notcp", "+ignore", "+short", "svc").stdout.split())
        == 50
    )


def test_agent_killed(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """Names are back within a second of the next command; packets never notice."""
    web, client = pair
    host = lab.host
    first = host.ny("inspect", "client").split('"Pid": ')[1].split(",")[0]
    pinging = host.popen(
        *("nsenter", "-t", first),
        *"-n -- ping -i 0.05 -c 60".split(),
        web.address("my-net"),
        stdout=-1,
    )
    host.kill_agent()
    inside = ("nsenter", "-t", first, "-n", "--")
    silent = host.run(*inside, *"dig +time=1 +tries=1 @127.0.0.11 web".split(), check=False)
    assert silent.returncode != 0
    # Whoever asks is refused at once, by UDP and TCP, and need not wait for a time-out.
    for kind in ("SOCK_DGRAM", "SOCK_STREAM"):
        asking = (
            f"import socket\ns = socket.socket(socket.AF_INET, socket.{kind}); s.settimeout(5)\n"
            "try:\n s.connect(('127.0.0.11', 53)); s.send(b'x' * 20); s.recv(99)\n"
            "except ConnectionRefusedError: print('refused')"
        )
        assert host.out(*inside, sys.executable, "-S", "-c", asking) == "refused", kind
    host.ny("network", "ls")
    started = time.monotonic()
    wait_for(lambda: client.dig("web") == "10.44.0.2", seconds=1.0)
    assert time.monotonic() - started < 1.0
    assert pinging.stdout is not None
    assert b"60 received" in pinging.stdout.read()
    assert client.dig("example.test") == INTERNET


ANSWERS_9999 = r"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 5399)); s.settimeout(5)
print("ready", flush=True)
asked, client = s.recvfrom(512)
header = asked[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
question = asked[12 : 12 + len("_web_") + 4]
s.sendto(header + question + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x09\x09\x09\x09", client)
"""


def test_beside_rules_of_the_containers_own(lab: Lab, pair: tuple[Guest, Guest]) -> None:
    """DN3: its connection tracking sees port 53 both ways, and its own redirection comes first."""
    _, client = pair
    pid = lab.host.ny("inspect", "client").split('"Pid": ')[1].split(",")[0]
    inside = ("nsenter", "-t", pid, "-n", "--")
    tracking = (
        "table ip own {\n"
        " chain in { type filter hook input priority 0;"
        " ct state invalid drop; ip saddr 127.0.0.11 ct state new drop; }\n"
        " chain out { type filter hook output priority -150;"
        " ip saddr 127.0.0.11 ct direction original drop; }\n"
        "}"
    )
    lab.host.run(*inside, "nft", tracking)
    assert client.dig("web") == "10.44.0.2"
    assert client.dig("+tcp", "web") == "10.44.0.2"
    assert "dst=127.0.0.11 sport" in lab.host.out(*inside, "conntrack", "-L", "-p", "udp")
    redirection = (
        "table ip mine { chain out { type nat hook output priority -100;"
        " ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.1:5399; }; }"
    )
    lab.host.run(*inside, "nft", redirection)
    own = lab.host.popen(*inside, sys.executable, "-S", "-c", ANSWERS_9999, stdout=-1)
    assert own.stdout is not None and own.stdout.readline() == b"ready\n"
    assert client.dig("+noedns", "web") == "9.9.9.9"
    own.wait(timeout=5)


def test_a_flood_of_tcp_connections_harms_nobody(pair: tuple[Guest, Guest]) -> None:
    """SH12: idle and half-sent connections of one container; others and itself are answered."""
    web, client = pair
    code = (
        "import socket,time\nheld=[]\n"
        "for i in range(400):\n"
        " s=socket.create_connection(('127.0.0.11',53)); s.send(b'\\x00'); held.append(s)\n"
        "print('held',flush=True); time.sleep(30)\n"
    )
    process = web.machine.popen(
        sys.executable, "-m", "netyard", "exec", "Web", sys.executable, "-S", "-c", code, stdout=-1
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert client.dig("+tcp", "www") == "10.44.0.2"
    assert web.dig("+tcp", "www") == "10.44.0.2"


def test_ndots_of_the_user_keeps_single_labels_inside(lab: Lab, host: Machine) -> None:
    """DN12, RN13."""
    lab.serve_internet()
    host.ny("network", "create", "net")
    host.ny(*"run -d --name box --network net --dns-option ndots:2 sleep 600".split())
    box = Guest(host, "box")
    assert "options ndots:2" in box.run("cat", "/etc/resolv.conf").stdout
    assert "status: NOERROR" in box.run("dig", "stranger").stdout
    assert "stranger" not in lab.asked_outside()
