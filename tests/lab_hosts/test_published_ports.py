"""Published ports: reachable exactly where they should be, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab import HOST, HOST6, NEIGHBOUR, NEIGHBOUR6, SERVER, Guest, Lab, Machine, wait_for

SECOND, SECOND6 = "192.0.2.11", "2001:db8::11"


@pytest.fixture
def serve(lab: Lab, either_bridge_mode: None):
    """Run a server on port 80 in a dual-stack container with these flags."""
    lab.host.ny("network", "create", "--ipv6", "net", "--subnet", "10.77.0.0/24")
    lab.host.run("ip", "addr", "add", f"{SECOND}/24", "dev", "eth0")
    lab.host.run("ip", "addr", "add", f"{SECOND6}/64", "dev", "eth0", "nodad")

    def start(*flags: str, name: str = "web") -> Guest:
        lab.host.ny(
            *("run", "-d", "--name", name, "--network", "net", *flags),
            *(sys.executable, "-S", SERVER, "80", "--say", name),
        )
        guest = Guest(lab.host, name)
        wait_for(lambda: lab.host.fetch(guest.address("net"), 80))
        return guest

    return start


def test_published_on_every_address(lab: Lab, serve) -> None:
    """PB1, FW4 columns H, W, X, FW20: both families, and the client's own address is seen."""
    serve("-p", "8080:80")
    host, neighbour = lab.host, lab.neighbour
    for address in ("127.0.0.1", HOST, SECOND, "10.77.0.1", "::1", HOST6):
        assert (host.fetch(address, 8080) or "").startswith("web"), address
    assert neighbour.fetch(HOST, 8080) == f"web {NEIGHBOUR}"
    assert neighbour.fetch(SECOND, 8080) == f"web {NEIGHBOUR}"
    assert neighbour.fetch(HOST6, 8080) == f"web {NEIGHBOUR6}"
    assert neighbour.ask_udp(HOST, 8080) is None, "tcp was published, not udp"
    assert neighbour.fetch(HOST, 80) is None
    assert sorted(host.ny("port", "web").splitlines()) == [
        "80/tcp -> 0.0.0.0:8080",
        "80/tcp -> [::]:8080",
    ]
    assert host.ny("port", "web", "80").splitlines() == ["0.0.0.0:8080", "[::]:8080"]
    assert "not published" not in host.ny("ps")
    assert "0.0.0.0:8080->80/tcp" in host.ny("ps")


def test_hairpin(lab: Lab, serve) -> None:
    """FW4 columns S and O, FW12, FW21: by the host's address, from containers, itself included."""
    web = serve("-p", "8080:80")
    lab.host.ny("run", "-d", "--name", "peer", "--network", "net", "sleep", "600")
    lab.host.ny("network", "create", "--ipv6", "other")
    lab.host.ny("run", "-d", "--name", "stranger", "--network", "other", "sleep", "600")
    for name in ("web", "peer", "stranger"):
        guest = Guest(lab.host, name)
        for address in (HOST, HOST6, "10.77.0.1"):
            assert (guest.fetch(address, 8080) or "").startswith("web"), (name, address)
        assert (guest.ask_udp(HOST, 8080)) is None
    assert Guest(lab.host, "stranger").fetch(web.address("net"), 80) is None, "FW3 column O"


def test_published_on_one_address(lab: Lab, serve) -> None:
    """PB2, FW5: by that address only."""
    serve("-p", f"{SECOND}:8080:80")
    for machine in (lab.host, lab.neighbour):
        assert (machine.fetch(SECOND, 8080) or "").startswith("web")
        assert machine.fetch(HOST, 8080) is None
        assert machine.fetch(HOST6, 8080) is None
    assert lab.host.fetch("127.0.0.1", 8080) is None


def test_published_on_one_ipv6_address(lab: Lab, serve) -> None:
    """PB6, FW5."""
    serve("-p", f"[{SECOND6}]:8080:80")
    assert lab.neighbour.fetch(SECOND6, 8080) == f"web {NEIGHBOUR6}"
    assert lab.neighbour.fetch(HOST6, 8080) is None
    assert lab.neighbour.fetch(HOST, 8080) is None
    assert lab.host.ny("port", "web") == f"80/tcp -> [{SECOND6}]:8080"


def test_udp_and_tcp_are_two_publications(lab: Lab, serve) -> None:
    """PB3."""
    serve("-p", "8080:80/udp", "-p", "8081:80/tcp", "-p", "8081:80/UDP")
    for address in (HOST, HOST6):
        assert lab.neighbour.ask_udp(address, 8080), address
        assert lab.neighbour.fetch(address, 8080) is None
        assert lab.neighbour.ask_udp(address, 8081)
        assert lab.neighbour.fetch(address, 8081)
    assert lab.host.ask_udp("127.0.0.1", 8080) is not None
    assert lab.host.ask_udp("::1", 8080) is not None


def test_loopback_publication_is_for_the_host_only(lab: Lab, serve) -> None:
    """PB7, FW8, SH9, SH24: not from the wire, in no form; not by other addresses."""
    web = serve("-p", "127.0.0.1:8080:80")
    assert (lab.host.fetch("127.0.0.1", 8080) or "").startswith("web")
    assert lab.host.fetch(HOST, 8080) is None
    assert lab.host.fetch("::1", 8080) is None
    lab.host.ny("run", "-d", "--name", "peer", "--network", "net", "sleep", "600")
    assert Guest(lab.host, "peer").fetch(HOST, 8080) is None
    assert Guest(lab.host, "peer").fetch("10.77.0.1", 8080) is None
    _attack_from_neighbour(lab, web)


def test_ipv6_loopback_publication_is_for_the_host_only(lab: Lab, serve) -> None:
    """PB6, PB13: [::1] without any relay, and nowhere else."""
    web = serve("-p", "[::1]:8080:80", "-p", "[::1]:8080:80/udp")
    assert (lab.host.fetch("::1", 8080) or "").startswith("web")
    assert (lab.host.ask_udp("::1", 8080) or "").startswith("web")
    for address in ("127.0.0.1", HOST, HOST6, SECOND6):
        assert lab.host.fetch(address, 8080) is None, address
        if address != "127.0.0.1":
            assert lab.neighbour.fetch(address, 8080) is None, address
    assert lab.host.ny("port", "web").splitlines() == [
        "80/tcp -> [::1]:8080",
        "80/udp -> [::1]:8080",
    ]
    _attack_from_neighbour(lab, web)


def test_unpublished_and_direct_access_from_the_wire_is_silent(lab: Lab, serve) -> None:
    """FW2, FW3 column W, SH24: a neighbour that adds a route gets nothing, not even a refusal."""
    web = serve("-p", "8080:80")
    _attack_from_neighbour(lab, web)
    assert (lab.host.fetch(web.address("net"), 80) or "").startswith("web"), "FW2 column H"


def _attack_from_neighbour(lab: Lab, web: Guest) -> None:
    """Everything a machine on the wire may try to get at a container or at the host's loopback."""
    neighbour = lab.neighbour
    own, own6 = web.address("net"), web.address("net", version=6)
    neighbour.run("ip", "route", "add", "10.77.0.0/24", "via", HOST)
    neighbour.run("ip", "-6", "route", "add", f"{own6}/128", "via", HOST6)
    for address in (own, own6):
        assert neighbour.fetch(address, 80) is None
        assert neighbour.ask_udp(address, 80) is None
        assert not neighbour.ping(address)
    # Frames for 127.0.0.1 on the wire, which the kernel would not send without being told to.
    neighbour.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet")
    neighbour.run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
    for table in ("local",):
        neighbour.run("ip", "route", "flush", "table", table, "127.0.0.0/8", check=False)
    neighbour.run(
        "ip", "route", "add", "127.0.0.1/32", "via", HOST, "src", NEIGHBOUR, "dev", "eth0"
    )
    lab.host.serve("9999")
    wait_for(lambda: lab.host.fetch("127.0.0.1", 9999))
    assert neighbour.fetch(HOST, 9999), "the way is open as such"
    for port in (8080, 9999):
        assert neighbour.fetch("127.0.0.1", port) is None
        assert neighbour.ask_udp("127.0.0.1", port) is None


def test_chosen_ports(lab: Lab, serve) -> None:
    """PB4, PB9: from the host's own range, the same number in both families."""
    serve("-p", "80", "-p", f"{SECOND}::80/udp")
    shown = dict(line.split(" -> ")[::-1] for line in lab.host.ny("port", "web").splitlines())
    port4 = next(int(side.split(":")[-1]) for side in shown if side.startswith("0.0.0.0:"))
    port6 = next(int(side.split(":")[-1]) for side in shown if side.startswith("[::]:"))
    low, high = map(int, lab.host.out("cat", "/proc/sys/net/ipv4/ip_local_port_range").split())
    assert port4 == port6
    assert low <= port4 <= high
    assert lab.neighbour.fetch(HOST, port4)
    assert lab.neighbour.fetch(HOST6, port4)


def test_ranges(lab: Lab, serve) -> None:
    """PB5: one of many host ports, and range onto range."""
    serve("-p", "9000-9002:80", "-p", "9010-9012:79-81/udp")
    serve("-p", "9000-9002:80", name="two")
    assert lab.neighbour.fetch(HOST, 9000) == f"web {NEIGHBOUR}"
    assert lab.neighbour.fetch(HOST, 9001) == f"two {NEIGHBOUR}"
    assert lab.neighbour.ask_udp(HOST, 9011) == f"web {NEIGHBOUR}"
    assert lab.neighbour.ask_udp(HOST, 9010) is None


def test_publish_all_publishes_what_is_exposed(lab: Lab, serve) -> None:
    """PB8: and --expose alone opens nothing."""
    serve("--expose", "80", "--expose", "81/udp", "-P")
    lines = lab.host.ny("port", "web").splitlines()
    assert {line.split(" -> ")[0] for line in lines} == {"80/tcp", "81/udp"}
    port = int(lab.host.ny("port", "web", "80").splitlines()[0].rpartition(":")[2])
    assert lab.neighbour.fetch(HOST, port)
    serve("--expose", "80", name="quiet")
    assert lab.host.ny("port", "quiet") == ""


def test_port_taken_by_a_container(lab: Lab, serve) -> None:
    """PB10, PB15, CV3: refused by name, nothing left behind."""
    serve("-p", "8080:80")
    before = lab.host.snapshot()
    for flags in (["-p", "8080:80"], ["-p", f"{HOST}:8080:81"], ["-p", "[::1]:8080:80"]):
        complaint = lab.host.refused(
            "run", "-d", "--name", "late", "--network", "net", *flags, "sleep", "9", status=125
        )
        assert "8080 is taken by container 'web'" in complaint
    twice = ["-p", "8090:80", "-p", "8090:81"]
    assert "8090 is taken" in lab.host.refused(
        "run", "-d", "--name", "late", "--network", "net", *twice, "sleep", "9", status=125
    )
    wait_for(lambda: lab.host.snapshot() == before, what="everything as before")
    serve("-p", f"{SECOND}:8081:80", "-p", f"{HOST}:8081:81", name="fine")


def test_port_taken_by_a_process_of_the_host(lab: Lab, serve) -> None:
    """PB10: any process, on any address; the owner is named."""
    for only, protocol in (("tcp", "tcp"), ("udp", "udp")):
        lab.host.serve("8085", "--only", only, "--bind", HOST)
        wait_for(lambda: lab.host.fetch(HOST, 8085) or lab.host.ask_udp(HOST, 8085))
        complaint = lab.host.refused(
            "run", "-d", "--network", "net", "-p", f"8085:80/{protocol}", "sleep", "9", status=125
        )
        assert "8085 is taken by python" in complaint
        assert "pid" in complaint


def test_host_address_must_be_the_hosts(lab: Lab, host: Machine) -> None:
    """PB2, PB13: an address the host does not have; IPv6 onto an IPv4-only container."""
    host.ny("network", "create", "four")
    assert "198.51.100.77" in host.refused(
        "run", "-d", "--network", "four", "-p", "198.51.100.77:80:80", "true", status=125
    )
    complaint = host.refused(
        "run", "-d", "--network", "four", "-p", f"[{HOST6}]:80:80", "true", status=125
    )
    assert "has no IPv6" in complaint
    assert "--ipv6" in complaint


def test_hundreds_of_ports_in_a_row(lab: Lab, serve) -> None:
    """PB5, US1: each leads to its own, some are taken back, and the rest outlives a restart."""
    host, neighbour = lab.host, lab.neighbour
    serve("-p", "9000-9599:80-679")
    host.popen(
        *(sys.executable, "-m", "netyard", "exec", "web", sys.executable, "-S", SERVER),
        *("380", "679", "--say", "more"),
    )
    reached = {9000: f"web {NEIGHBOUR}", 9300: f"more {NEIGHBOUR}", 9599: f"more {NEIGHBOUR}"}
    wait_for(lambda: neighbour.fetch(HOST, 9599))
    assert {port: neighbour.fetch(HOST, port) for port in reached} == reached
    host.ny("port", "rm", "web", "9250-9349:330-429", "9599:679")
    assert [neighbour.fetch(HOST, port) for port in reached] == [reached[9000], None, None]
    shown = host.ny("ps")
    assert "0.0.0.0:9000-9249->80-329/tcp, 0.0.0.0:9350-9598->430-678/tcp, [::]:9000" in shown
    host.ny("port", "add", "web", "9300:380")
    assert neighbour.fetch(HOST, 9300) == reached[9300]
    host.ny("stop", "-t", "0", "web")
    assert neighbour.fetch(HOST, 9000) is None
    host.ny("start", "web")
    wait_for(lambda: neighbour.fetch(HOST, 9000))
    listed = host.ny("port", "web").splitlines()
    assert len(listed) == 2 * (600 - 101 + 1)
    assert "380/tcp -> 0.0.0.0:9300" in listed
    assert "381/tcp -> 0.0.0.0:9301" not in listed


def test_one_port_in_a_row_that_is_taken_keeps_all_from_it(lab: Lab, serve) -> None:
    """PB10: by a container or a process in the midst of them; which one is said."""
    host = lab.host
    serve("-p", "9500:80")
    host.serve("9800", "--only", "tcp")
    wait_for(lambda: host.fetch("127.0.0.1", 9800))
    words = ("run", "-d", "--name", "late", "--network", "net")
    complaint = host.refused(*words, "-p", "9300-9600:300-600", "true", status=125)
    assert "'9300-9600:300-600': tcp port 0.0.0.0:9500 is taken by container 'web'" in complaint
    complaint = host.refused(*words, "-p", "9700-9900:700-900", "true", status=125)
    assert "tcp port 0.0.0.0:9800 is taken by python" in complaint
    assert "late" not in host.ny("ps", "-a")
    assert host.ny("port", "web").splitlines()[0] == "80/tcp -> 0.0.0.0:9500"
    # As many flags as are kept in few words: what is said is what was typed.
    flags = [word for port in range(9700, 9820) for word in ("-p", f"{port}:{port}")]
    complaint = host.refused(*words, *flags, "true", status=125)
    assert "9800" in complaint


@pytest.fixture
def ask(lab: Lab):
    """Ask the host's UDP port 8080 from the neighbour, always from the same port."""
    client = "import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n" + (
        f"s.bind(('0.0.0.0',7777)); s.settimeout(1)\nfor line in sys.stdin:\n"
        f" s.sendto(b'x',('{HOST}',8080))\n"
        " try: print(s.recv(99).decode(),flush=True)\n except OSError: print('-',flush=True)\n"
    )
    talk = lab.neighbour.popen(
        sys.executable, "-c", client, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert talk.stdin and talk.stdout

    def once() -> str:
        talk.stdin.write(b"\n")
        talk.stdin.flush()
        return talk.stdout.readline().decode().strip()

    return once


def test_removal_ends_connections(lab: Lab, serve, ask) -> None:
    """PB11: a UDP client does not go on talking to the dead one, nor to the host."""
    serve("-p", "8080:80/udp")
    assert ask() == f"web {NEIGHBOUR}"
    lab.host.ny("rm", "-f", "web")
    assert ask() == "-"
    serve("-p", "8080:80/udp", name="next")
    assert ask() == f"next {NEIGHBOUR}", "flows of the port were forgotten"


def test_removal_ends_thousands_of_connections(lab: Lab, serve) -> None:
    """PB11: of many ports to one, with more connections than the kernel can confirm at once."""
    web = serve("-p", "8080:80/udp")
    lab.host.python(
        "from netyard import Container\n"
        "web = Container.get('web')\n"
        "many = [f'{port}:80/udp' for port in range(20000, 20500)]\n"
        "web.add_ports(*many)\n"
        "web.remove_ports(*many[1:])"
    )
    lab.neighbour.python(
        "import socket\n"
        "for port in range(10000, 40000):\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:\n"
        "        client.bind(('0.0.0.0', port))\n"
        f"        client.sendto(b'x', ('{HOST}', 20000 if port % 2 else 8080))"
    )
    address = web.address("net")

    def tracked() -> int:
        return lab.host.out("conntrack", "-L", "-p", "udp", "-r", address).count(f"src={address}")

    assert tracked() > 25_000
    lab.host.ny("port", "rm", "web", "20000:80/udp")
    assert lab.host.ny("port", "web") == "80/udp -> 0.0.0.0:8080\n80/udp -> [::]:8080"
    assert 0 <= tracked() < 100, "those of port 80, whichever the host's was"


def test_an_address_is_passed_on_without_its_connections(lab: Lab, serve, ask) -> None:
    """PB11, IP11: who gets the address next, at once, is not asked by the clients of the last."""
    address = serve("-p", "8080:80/udp").address("net")
    assert ask() == f"web {NEIGHBOUR}"
    lab.host.python(
        "from netyard import Container, Network\n"
        "Container.get('web').remove(force=True)\n"
        f"Container.run({sys.executable!r}, '-S', {SERVER!r}, '80', '--say', 'next', name='next',"
        f" network='net')"
    )
    following = Guest(lab.host, "next")
    assert following.address("net") == address
    wait_for(lambda: lab.host.fetch(address, 80))
    assert ask() == "-"


def test_host_traffic_of_others_is_not_hijacked(lab: Lab, serve) -> None:
    """SH10, FW25: a host that routes for others leaves their port 8080 alone."""
    serve("-p", "8080:80")
    lab.internet.serve("8080", "--say", "theirs")
    wait_for(lambda: lab.internet.fetch("203.0.113.5", 8080))
    lab.neighbour.run("ip", "route", "add", "203.0.113.5/32", "via", HOST)
    lab.host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    lab.host.run("nft", "flush", "chain", "inet", "netyard", "router-guard")
    assert lab.neighbour.fetch("203.0.113.5", 8080) == f"theirs {NEIGHBOUR}"


def test_forwarding_is_for_netyards_networks_only(lab: Lab, serve) -> None:
    """FW28: turning forwarding on does not make the host a router for the wire."""
    serve("-p", "8080:80")
    lab.serve_internet()
    lab.neighbour.run("ip", "route", "add", "203.0.113.5/32", "via", HOST)
    assert lab.host.out("cat", "/proc/sys/net/ipv4/ip_forward") == "1"
    assert lab.neighbour.fetch("203.0.113.5", 80) is None


_SCTP_INIT = """
import socket, struct, sys
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
chunk = struct.pack('>BBHIIHHI', 1, 0, 20, 7, 65536, 1, 1, 7)
bare = struct.pack('>HHII', 7777, 8080, 0, 0) + chunk
packet = bare[:8] + struct.pack('<I', crc32c(bare)) + bare[12:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
s.sendto(packet, (sys.argv[1], 0))
"""


def test_sctp_is_translated(lab: Lab, host: Machine) -> None:
    """PB3: by the kernel's tracking alone; neither side need have sockets for it."""
    host.ny("network", "create", "net")
    host.ny(
        *"run -d --name web --network net -p 8080:80/sctp --cap-add NET_RAW".split(), "sleep", "600"
    )
    assert "80/sctp -> 0.0.0.0:8080" in host.ny("port", "web")
    listening = host.popen(
        *(sys.executable, "-m", "netyard", "exec", "web", sys.executable, "-S", "-c"),
        "import socket\ns=socket.socket(2,3,132)\nprint('up',flush=True)\n"
        "d=s.recv(999)[20:]\nprint(int.from_bytes(d[2:4],'big'),flush=True)",
        stdout=subprocess.PIPE,
    )
    assert listening.stdout is not None
    assert listening.stdout.readline() == b"up\n"
    lab.neighbour.run(sys.executable, "-S", "-c", _SCTP_INIT, HOST)
    assert listening.stdout.readline() == b"80\n", "the container's port"


def test_ports_chosen_at_once_are_different(host: Machine) -> None:
    """PB9, IP13: several commands that choose at the same moment."""
    host.ny("network", "create", "net")
    command = "run -d --network net -p 80 sleep 600".split()
    started = [host.popen(sys.executable, "-m", "netyard", *command) for _ in range(6)]
    assert [process.wait(timeout=60) for process in started] == [0] * 6
    shown = host.ny("ps", "--format", "{{.Ports}}").split()
    assert len(set(shown)) == 6
