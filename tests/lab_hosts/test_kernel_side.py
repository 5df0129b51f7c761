"""What the kernel has, read by independent tools; what other threads may do meanwhile."""

from __future__ import annotations

import errno
import json
import re
import sys

import pytest

from lab import HOST6, SERVER, Machine


def test_ruleset_reads_back(host: Machine) -> None:
    """What `nft` prints of our tables, it accepts again, and nothing is unknown to it."""
    host.ny("network", "create", "--ipv6", "net")
    host.ny("network", "create", "--internal", "inside")
    host.ny(
        *"run -d --name web --network net -p 8080:80 -p 127.0.0.1:81:80".split(),
        *("-p", f"[{HOST6}]:82:80/udp"),
        *(sys.executable, "-S", SERVER, "80"),
    )
    shown = host.out("nft", "list", "ruleset")
    assert "unknown" not in shown
    host.run("nft", "-c", "-f", "-", input="flush ruleset\n" + shown)
    assert 'comment "published ports"' in shown
    assert re.search(r"tcp \. 8080 comment .* : 172\.18\.0\.2 \. 80", shown)
    assert re.search(r"127\.0\.0\.1 \. tcp \. 81 comment .* : 172\.18\.0\.2 \. 80", shown)


def test_rule_count_does_not_grow_with_ports(host: Machine) -> None:
    """FW35: ports are elements; publishing many is one transaction."""

    def rules() -> int:
        found = json.loads(host.out("nft", "-j", "list", "table", "inet", "netyard"))["nftables"]
        return sum("rule" in entry for entry in found)

    host.ny("network", "create", "net")
    before = rules()
    host.ny(
        "run",
        "-d",
        "--name",
        "many",
        "--network",
        "net",
        "-p",
        "20000-20999:80-1079",
        "sleep",
        "600",
    )
    assert rules() == before
    assert host.ny("port", "many").count("\n") == 999
    host.ny("rm", "-f", "many")
    assert "20500" not in host.out("nft", "list", "ruleset")


def test_bridge_and_port_as_ip_shows_them(host: Machine) -> None:
    """`ip -d` agrees: no spanning tree, the MTU asked for, a group of its own where icc is off."""
    host.ny("network", "create", "-o", "mtu=1400", "-o", "icc=false", "net")
    host.ny("run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    links = json.loads(host.out("ip", "-j", "-d", "link"))
    bridge = next(link for link in links if link["ifname"].startswith("br-"))
    port = next(link for link in links if link["ifname"].startswith("ny-"))
    assert bridge["linkinfo"]["info_data"]["stp_state"] == 0
    assert (bridge["mtu"], port["mtu"]) == (1400, 1400)
    assert port["master"] == bridge["ifname"]
    assert port["group"] == "20058", "what the bridge family's table goes by"
    inside = json.loads(host.ny("exec", "box", "ip", "-j", "link", "show", "eth0"))
    assert inside[0]["mtu"] == 1400


def test_kernel_errors_carry_the_kernels_words(host: Machine) -> None:
    """Extended acknowledgements: what was asked, the kernel's sentence, the attribute."""
    code = (
        "from netyard import _core, errors\n"
        "class Spec:\n"
        "    name, mac, mtu, addresses, sysctls = 'br-x', b'\\x02' * 6, 5, [], []\n"
        "try: _core.create_bridges([Spec])\n"
        "except errors.KernelError as error:\n"
        "    print(error.operation, error.subject, error.errno, error.kernel_message)\n"
    )
    shown = host.python(code)
    assert shown.startswith("create bridge br-x 22 ")
    assert "mtu" in shown
    assert "br-x" not in host.links()


@pytest.mark.parametrize(
    ("call", "kind", "module"),
    [
        ("_core.create_dummy('d0', [])", "dummy", "dummy interfaces: load the module dummy"),
        ("_core.create_vlan('v0', 'lo', 7, [])", "vlan", "VLANs: load the module 8021q"),
    ],
)
def test_a_lack_is_told_by_what_was_asked(host: Machine, call: str, kind: str, module: str) -> None:
    """By the module of the link, not by words; where it is there, nothing is said of it."""
    code = (
        "from netyard import _core, errors\n"
        f"try: {call}\n"
        "except errors.Unsupported as error: print(error.errno, error.hint)\n"
        "except errors.KernelError as error: print(type(error).__name__, error.hint)\n"
        f"else: print('made')\nprint(_core.knows_link_kind('{kind}'))\n"
    )
    said, known = host.python(code).splitlines()
    if known == "True":
        assert "lacks" not in said
    else:
        assert said == f"{errno.EOPNOTSUPP} this kernel lacks {module}"


def test_permission_is_denied_by_the_kernel(host: Machine) -> None:
    """What a user may not is a `PermissionError` with the kernel's number, from any part of it."""
    code = (
        "import os\nfrom netyard import _core, errors\n"
        "os.setuid(65534)\n"
        "def refused(call, *given):\n"
        "    try: call(*given)\n"
        "    except PermissionError as error:\n"
        "        assert isinstance(error, errors.PermissionDenied)\n"
        "        print(error.errno, error.strerror, error.operation, error.hint, sep='; ')\n"
        "refused(_core.set_aliases, ['lo'], 'x')\n"
        "refused(_core.apply_nft, [('inet', 'x', [('add table',)])])\n"
        "refused(_core.create_namespace, '/run/x')\n"
    )
    hint = "run netyard as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN"
    lines = host.python(code).splitlines()
    assert len(lines) == 3
    for line in lines:
        number, meaning, _, told = line.split("; ")
        assert (int(number), meaning) in {
            (errno.EPERM, "Operation not permitted"),
            (errno.EACCES, "Permission denied"),
        }
        assert told == hint


def test_other_threads_run_during_kernel_work(host: Machine) -> None:
    """Every long call lets go of the interpreter."""
    code = (
        "import threading, time\n"
        "from netyard import Host, Network\n"
        "host, gaps, stop = Host(), [0.0], []\n"
        "def tick():\n"
        "    last = time.perf_counter()\n"
        "    while not stop:\n"
        "        time.sleep(0.001); now = time.perf_counter()\n"
        "        gaps.append(now - last); last = now\n"
        "thread = threading.Thread(target=tick); thread.start()\n"
        "for n in range(5): Network.create(f'n{n}', host=host)\n"
        "start = time.perf_counter()\n"
        "for n in range(5): Network.get(f'n{n}', host=host).remove()\n"
        "took = time.perf_counter() - start\n"
        "stop.append(1); thread.join()\n"
        "ticks = len(gaps); print(ticks > 20 * took, took)\n"
    )
    assert host.python(code).startswith("True")
