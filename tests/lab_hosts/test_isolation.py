"""What a hostile container, neighbour or name can reach: rows SH of the contract, by packets."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lab import HOST, INTERNET, NEIGHBOUR, ROUTER, SERVER, Guest, Lab, Machine, wait_for

IDLE = ("--cap-add", "NET_ADMIN", "sleep", "600")
WEB = (sys.executable, "-S", SERVER, "80")
# Whatever answers at these addresses, on every port below 65536 that accepts.
SCAN = """
import socket, sys
found = []
for address in sys.argv[1:]:
    for port in (*range(1, 1100), 2375, 2376, 2377, 4243, 4789, 5353, 6443, 7946, 8080, 9090):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.settimeout(0.3)
        if not s.connect_ex((address, port)):
            found.append(f"{address} {port}")
        s.close()
print("\\n".join(found))
"""


def test_nothing_of_netyard_listens(lab: Lab) -> None:
    """SH15, SH16, SH17: one socket, for root alone; none on any address, none abstract."""
    host = lab.host
    host.ny("network", "create", "--ipv6", "net")
    host.ny("run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    listening = host.out("ss", "-Hltun")
    assert not listening, listening
    named = [line.split()[-1] for line in host.out("cat", "/proc/net/unix").splitlines()[1:]]
    own = [name for name in named if "netyard" in name]
    assert own and not [name for name in own if name.startswith("@")]
    for path in own:
        if path.startswith("/run/netyard/agent"):
            assert host.out("stat", "-c", "%a %u", path) == "600 0"
    assert host.out("stat", "-c", "%a %u", "/run/netyard") == "700 0"
    assert host.out("stat", "-c", "%a %u", "/var/lib/netyard") == "700 0"
    # From inside: the gateway, the host, the wire; and the sockets are not to be seen.
    box = Guest(host, "box")
    gateways = [json.loads(host.ny("network", "inspect", "net"))[0]["IPAM"]["Config"][0]["Gateway"]]
    assert not box.run(sys.executable, "-S", "-c", SCAN, *gateways, HOST).stdout.strip()
    assert (
        not box.run("ls", "-A", "/run/netyard", "/var/lib/netyard")
        .stdout.replace("/run/netyard:", "")
        .replace("/var/lib/netyard:", "")
        .strip()
    )
    inside = box.run("ss", "-Hltun").stdout.split("\n")
    assert all(re.search(r"127\.0\.0\.11", line) for line in inside if line)


def test_the_host_network_mode_reaches_no_socket(host: Machine) -> None:
    """SH17: a container in the host's network namespace that is not root there."""
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    code = (
        "import socket; s = socket.socket(socket.AF_UNIX);"
        "print(s.connect_ex('/run/netyard/agent.sock'))"
    )
    words = ("run", "--rm", "--network", "host", "--user", "65534", "python3", "-Sc", code)
    answer = host.netyard(*words, check=False)
    assert answer.stdout.strip() != "0", answer


def test_the_admins_rules_come_first(lab: Lab) -> None:
    """SH18: a redirection of the admin's own for the same port keeps its precedence."""
    host = lab.host
    # It is a router already: what the admin forwards is his.
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    lab.neighbour.serve("90")
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "web", "--network", "net", "-p", "8080:80", *WEB)
    wait_for(lambda: lab.internet.fetch(HOST, 8080))
    rules = (
        "table ip admin {"
        " chain pre { type nat hook prerouting priority -110;"
        f" ip daddr {HOST} tcp dport 8080 dnat to {NEIGHBOUR}:90; }};"
        f" chain post {{ type nat hook postrouting priority 90; ip daddr {NEIGHBOUR} masquerade; }}; }}"
    )
    host.run("nft", "-f", "-", input=rules)
    # It is the neighbour who answers, and he sees the host.
    assert lab.internet.fetch(HOST, 8080) == f"hello {HOST}"
    host.ny("port", "add", "web", "8081:80")
    host.ny("reload")
    assert lab.internet.fetch(HOST, 8080) == f"hello {HOST}"
    assert lab.internet.fetch(HOST, 8081) == f"hello {ROUTER}"


@pytest.mark.parametrize(
    "name", ["../../bin/sh", "a/b", "/bin/sh", "..", "bridge\n", "", "x" * 300]
)
def test_drivers_are_not_paths(host: Machine, name: str) -> None:
    """SH19: no program is ever run because of a name."""
    assert host.refused("network", "create", "-d", name, "net")
    assert "net" not in host.ny("network", "ls", "--format", "{{.Name}}").split()


def test_the_agent_bounds_what_it_reads(host: Machine) -> None:
    """SH25: an endless request is closed, not held, and others are served meanwhile."""
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    agent = host.out("pgrep", "-f", "agent --exit-when-idle").split()[0]

    def memory() -> int:
        return int(host.out("awk", "/VmRSS/ {print $2}", f"/proc/{agent}/status"))

    before = memory()
    code = (
        "import socket\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('/run/netyard/agent.sock'); s.settimeout(5)\n"
        "sent = 0\n"
        "try:\n"
        "    for _ in range(4000): sent += s.send(b'[' * 65536)\n"
        "except OSError: pass\n"
        "print(sent)\n"
    )
    sent = int(host.python(code))
    assert sent < 64 << 20, "it goes on reading"
    assert memory() < before + 32 * 1024
    assert Guest(host, "box").dig("box")
    odd = ("refresh", "containers", 5), ("release", "endpoints", 5), ("refresh", "containers", [[]])
    for garbage in (
        *("", "\\0" * 40, "{}", "[1, 2", '{"op": 7}', '{"op": "nonsense"}', "\\xff" * 99),
        *("[" * 50_000, '{"op":' * 10_000, '{"op": "rename", "container": []}'),
        *(f'{{"op": "{op}", "{key}": {value}}}' for op, key, value in odd),
    ):
        code = (
            "import socket\n"
            "s = socket.socket(socket.AF_UNIX); s.connect('/run/netyard/agent.sock'); s.settimeout(5)\n"
            f"s.sendall(b'{garbage}' + b'\\n'); s.shutdown(1)\n"
            "print(len(s.recv(4096)))\n"
        )
        host.python(code)
    assert Guest(host, "box").dig("box")
    assert host.out("pgrep", "-f", "agent --exit-when-idle").split()[0] == agent


def test_the_agent_serves_beside_damaged_rows(host: Machine) -> None:
    """What cannot be read of one container is in the log, and others have their names."""
    host.ny("network", "create", "net")
    for name in ("box", "other"):
        host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "600")
    agent = host.out("pgrep", "-f", "agent --exit-when-idle").split()[0]
    code = (
        "import sqlite3, os, signal, time\n"
        f"os.kill({agent}, signal.SIGKILL)\n"
        "db = sqlite3.connect('/var/lib/netyard/netyard.db')\n"
        "db.execute(\"UPDATE endpoints SET lease = '[' WHERE container_id = \"\n"
        "           \"(SELECT id FROM containers WHERE name = 'other')\")\n"
        "db.commit()\n"
    )
    host.python(code)
    host.popen(sys.executable, "-m", "netyard", "agent")
    wait_for(lambda: Guest(host, "box").dig("box"))
    time.sleep(1.5)
    assert Guest(host, "box").dig("box"), "it goes on"


def test_outsiders_do_not_answer_for_names_inside(lab: Lab) -> None:
    """SH13: the search domain of the host has a ``web``, too; inside it is always the container."""
    host = lab.host
    lab.internet.popen(
        *f"dnsmasq -k -h -R -C /dev/null -a {ROUTER} -z -u root --address=/web.lab.test/9.9.9.9".split(),
        "--address=/web/9.9.9.8",
    )
    wait_for(lambda: host.run("dig", "+short", f"@{ROUTER}", "web.lab.test").stdout.strip())
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "web", "--network", "net", "sleep", "600")
    host.ny("run", "-d", "--name", "asker", "--network", "net", "sleep", "600")
    asker = Guest(host, "asker")

    def resolved() -> str:
        code = "import socket; print(socket.gethostbyname('web'))"
        done = asker.run("python3", "-Sc", code, check=False)
        return done.stdout.strip() or done.stderr.splitlines()[-1]

    assert resolved() == Guest(host, "web").address("net")


def test_addresses_of_other_networks_gateways(lab: Lab) -> None:
    """FW, SH24: another network's gateway, and link-local ways between bridges, lead nowhere."""
    host = lab.host
    lab.serve_internet()
    host.ny("network", "create", "--ipv6", "one")
    host.ny("network", "create", "--ipv6", "two")
    host.ny("run", "-d", "--name", "web", "--network", "two", *WEB)
    host.ny(
        "run", "-d", "--name", "evil", "--network", "one", "--cap-add", "NET_ADMIN", "sleep", "600"
    )
    evil, web = Guest(host, "evil"), Guest(host, "web")
    wait_for(lambda: web.fetch("127.0.0.1", 80))
    target, target6 = web.address("two"), web.address("two", version=6)
    shown = json.loads(host.ny("network", "inspect", "one"))[0]["IPAM"]["Config"]
    gateway, gateway6 = (each["Gateway"].split("/")[0] for each in shown)
    # Routes of its own to where it has no business.
    evil.run("ip", "route", "add", target, "via", gateway, check=False)
    evil.run("ip", "-6", "route", "add", target6, "via", gateway6, check=False)
    assert not evil.fetch(target, 80)
    assert not evil.fetch(target6, 80)
    mac = json.loads(web.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
    evil.run("ip", "neigh", "replace", target, "lladdr", mac, "dev", "eth0")
    evil.run("ip", "route", "replace", target, "dev", "eth0")
    assert not evil.fetch(target, 80)
    local = json.loads(web.run("ip", "-j", "-6", "addr", "show", "scope", "link").stdout)
    address = next(info["local"] for each in local for info in each.get("addr_info", []) if info)
    assert not evil.fetch(f"{address}%eth0", 80)
    # Its own way out is as it was.
    assert evil.fetch(INTERNET, 80)


def test_isolated_containers_reach_no_host_by_any_source(lab: Lab) -> None:
    """FW6, BO8: not even from a link-local address, which has no route to be judged by."""
    host = lab.host
    host.ny("network", "create", "--internal", "-o", "gateway_mode=isolated", "alone")
    host.ny("network", "create", "--internal", "known")
    heard = Path(tempfile.mkdtemp(), "heard")
    code = f"import socket; s = socket.socket(2, 2); s.bind(('', 9)); f = open('{heard}', 'w')\n"
    host.popen(
        "python3", "-Sc", f"{code}while True: print(s.recv(99).decode(), file=f, flush=True)"
    )
    wait_for(lambda: ":9 " in host.out("ss", "-Hlun"))
    for network in ("known", "alone"):
        host.ny("run", "-d", "--name", f"{network}1", "--network", network, *IDLE)
        guest = Guest(host, f"{network}1")
        bridge = json.loads(host.ny("network", "inspect", network))[0]["Id"][:12]
        (link,) = json.loads(host.out("ip", "-j", "link", "show", f"br-{bridge}"))
        guest.run("ip", "addr", "add", "169.254.7.7/16", "dev", "eth0")
        guest.run("ip", "route", "replace", f"{HOST}/32", "dev", "eth0")
        guest.run("ip", "neigh", "replace", HOST, "lladdr", link["address"], "dev", "eth0")
        words = f"s = socket.socket(2, 2); s.bind(('169.254.7.7', 0)); s.sendto(b'{network}'"
        guest.run("python3", "-Sc", f"import socket; {words}, ('{HOST}', 9))")
    host.run("python3", "-Sc", f"import socket; socket.socket(2, 2).sendto(b'end', ('{HOST}', 9))")
    wait_for(lambda: "end" in heard.read_text())
    assert heard.read_text().split() == ["known", "end"]


def test_environment_and_output_are_only_text(host: Machine) -> None:
    """SH27: names, labels and what containers print cannot speak for netyard."""
    host.ny("network", "create", "--label", "a=\x1b[31m\nnetyard: forged", "net")
    shown = host.ny("network", "inspect", "net")
    assert json.loads(shown)[0]["Labels"]["a"] == "\x1b[31m\nnetyard: forged"
    assert "\x1b" not in shown
    host.ny(
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "net",
        "-e",
        "X=$(touch /tmp/pwned)",
        "sleep",
        "9",
    )
    assert host.run("test", "-e", "/tmp/pwned", check=False).returncode != 0
    for name in ("a b", "a;b", "$(id)", "../x", "a\nb", "-rf", "%n%n", "x" * 300, "ü"):
        host.refused("run", "-d", f"--name={name}", "--network", "net", "true", status=125)
        host.refused("network", "create", "--", name)
