"""Instructions of the hot paths, counted by callgrind: the same on a busy machine as on an idle one.

``python benches/count.py`` compares with ``benches/results/counts.json`` and fails if a path takes
more than a few percent more; ``--record`` writes what it takes now. What the kernel and the agent do
is not counted. Python's own build and that of `_core` matter: others than those recorded are shown
and not judged.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import apart
import names

if TYPE_CHECKING:
    from netyard import Container

RECORDED = Path(__file__).parent / "results" / "counts.json"
TOLERANCE = 0.10
ROUNDS = 10
# Of the short paths: waiting for the agent's start takes more or fewer instructions by chance, and
# what it takes is shared out among the rounds.
SHORT = {"connect and disconnect": 60, "one port more and less": 60}
MOUNTS = "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; mount -t sysfs sysfs /sys"


def main() -> int:
    """Count each path; the exit status."""
    from netyard import _core

    key = f"Python {' '.join(sys.version.split())}, {_core.build_profile} build"
    recorded: dict[str, dict[str, int]] = json.loads(RECORDED.read_text())
    found = {name: each_round(name, SHORT.get(name, ROUNDS)) for name in PATHS}
    if "--record" in sys.argv:
        recorded[key] = found
        RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    too_many = []
    for name, instructions in found.items():
        before = recorded.get(key, {}).get(name)
        change = f"{instructions / before - 1:+.1%}" if before else "not recorded"
        print(f"{name:30} {instructions:12,} instructions  {change}")
        if before and instructions > before * (1 + TOLERANCE):
            too_many.append(name)
    if too_many:
        print(f"more than {TOLERANCE:.0%} slower: {', '.join(too_many)}", file=sys.stderr)
    return 1 if too_many else 0


def each_round(name: str, rounds: int) -> int:
    """Instructions that a path takes each time."""
    return (count(name, 2 + rounds) - count(name, 2)) // rounds


def count(name: str, rounds: int) -> int:
    """Instructions of a process that goes a path so many times."""
    inside = (
        f"{MOUNTS}; ip link set lo up; exec valgrind --tool=callgrind --callgrind-out-file=/dev/null "
        f"{sys.executable} {__file__} --inside '{name}' {rounds}"
    )
    # Compiling counts in both processes, or in neither.
    environment = {
        "PYTHONHASHSEED": "0",
        "NETYARD_ROOT": "/run/root",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = apart.run(
        ["sh", "-c", inside],
        environment=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not collected:
        raise SystemExit(f"{name}: {done.stderr}")
    return int(collected[1])


def networks(rounds: int) -> None:
    """Made and removed."""
    from netyard import Host, Network

    host = Host()
    for number in range(rounds):
        Network.create(f"net{number}", host=host).remove()


def at_home(*publish: str) -> Container:
    """An adopted namespace on a network."""
    from netyard import Container, Host, Network

    host = Host()
    Network.create("home", host=host)
    subprocess.run(["ip", "netns", "add", "box"], check=True)
    place = {"netns": "/run/netns/box", "network": "home", "publish": publish}
    return Container.adopt("box", host=host, **place)


def connections(rounds: int) -> None:
    """Of one container with one network."""
    from netyard import Network

    box = at_home()
    net = Network.create("other", host=box.host)
    for _ in range(rounds):
        net.connect(box)
        net.disconnect(box)
    box.abandon()


def published(rounds: int) -> None:
    """A thousand ports, and one more and less beside them."""
    box = at_home("10000-10999:10000-10999")
    for _ in range(rounds):
        box.add_ports("9000:80")
        box.remove_ports("9000:80")
    box.abandon()


def converging(rounds: int) -> None:
    """A hundred ports of the host to one inside, and back: not all of them for each."""
    box = at_home()
    ports = [f"{port}:80" for port in range(9000, 9100)]
    for _ in range(rounds):
        box.add_ports(*ports)
        box.remove_ports(*ports)
    box.abandon()


def words(rounds: int) -> None:
    """Ten thousand ports as typed."""
    from netyard.values import ports

    for _ in range(rounds):
        ports.compacted([f"{port}:{port}" for port in range(10_000, 20_000)])


# One question after the other, so that the server wakes as often each time.
ASK = """
import socket, sys
name, times = sys.argv[1].encode(), int(sys.argv[2])
labels = b"".join(bytes([len(label)]) + label for label in name.split(b"."))
question = bytes(4) + b"\\0\\1" + bytes(6) + labels + b"\\0\\0\\1\\0\\1"
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(20)
asking.connect(("127.0.0.11", 53))
for number in range(times):
    asking.send(number.to_bytes(2, "big") + b"\\1\\0" + question[4:])
    answer = asking.recv(512)
    assert answer[:2] == number.to_bytes(2, "big") and answer[7] == 1, answer
"""
# Everything has one address.
TELL = f"""
import socket
answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answering.bind(("{names.UPSTREAM}", 53))
while True:
    asked, client = answering.recvfrom(512)
    question = asked[12 : asked.index(0, 12) + 5]
    header = asked[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
    answering.sendto(header + question + bytes.fromhex("c00c 0001 0001 00000e10 0004 0a000001"), client)
"""


def answers(name: str, rounds: int) -> None:
    """A hundred a round, of a name server asked within a container."""
    with names.own_server(Path()) as (prefix, _, _):
        ask = [*prefix.split(), sys.executable, "-S", "-c", ASK, name, str(100 * rounds)]
        subprocess.run(ask, check=True)


def remembered(rounds: int) -> None:
    """Answers of another name server, which is asked once."""
    subprocess.run(["ip", "addr", "add", names.UPSTREAM, "dev", "lo"], check=True)
    with subprocess.Popen([sys.executable, "-S", "-c", TELL]) as upstream:
        try:
            answers("www.example.com", rounds)
        finally:
            upstream.kill()


PATHS: dict[str, Callable[[int], None]] = {
    "create and remove a network": networks,
    "connect and disconnect": connections,
    "one port more and less": published,
    "100 ports to one, and back": converging,
    "10,000 ports as words": words,
    "100 local names answered": partial(answers, "n500"),
    "100 remembered names answered": remembered,
}

if __name__ == "__main__":
    if "--inside" in sys.argv:
        apart.check()
        # A collection, of all objects there are, would fall into one of two counts by chance.
        gc.disable()
        PATHS[sys.argv[-2]](int(sys.argv[-1]))
    else:
        sys.exit(main())
