"""The name server under attack: by whoever answers for an upstream, and by a container."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import SLOWNESS, Guest, Lab, Machine, wait_for

LIAR = str(Path(__file__).parents[1] / "liar.py")
TRUTH, LIE = "198.51.100.77", "6.6.6.6"
# As much as an agent may grow while one container does its worst.
CEILING_KIB = 48 << 10
# For a lookup beside a flood, on a machine that is busy with other tests as well.
SLOWEST_SECONDS = 1.5


def _start(host: Machine, *names: str) -> list[Guest]:
    host.ny("network", "create", "net")
    for name in names:
        host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "600")
    return [Guest(host, name) for name in names]


@pytest.fixture
def asker(lab: Lab) -> Guest:
    """A container whose upstream is being impersonated."""
    lab.internet.run("ip", "addr", "add", "203.0.113.53/32", "dev", "lo")
    lab.internet.popen(sys.executable, "-S", LIAR, TRUTH, LIE)
    wait_for(lambda: lab.internet.run("ss", "-Hlun", "sport", "=", "53").stdout.count("\n") >= 2)
    return _start(lab.host, "asker")[0]


def _asked(lab: Lab) -> list[list[str]]:
    return [line.split() for line in lab.internet.out("cat", "/run/asked").splitlines()]


def test_forged_answers_are_never_believed(lab: Lab, asker: Guest) -> None:
    """SH20: wrong id, port, question, source or length: ignored, and not remembered."""
    for number in range(20):
        assert asker.dig("+noedns", f"name{number}.example") == TRUTH
    # What was remembered is the truth as well.
    for number in range(20):
        assert asker.dig("+noedns", f"name{number}.example") == TRUTH
    assert len(_asked(lab)) == 20


def test_what_was_not_asked_is_not_remembered(lab: Lab, asker: Guest) -> None:
    """SH20: records beside the answer are the asker's to see and nobody's to keep (bailiwick)."""
    assert asker.dig("+noedns", "extra.example") == TRUTH
    assert asker.dig("+noedns", "other.example") == TRUTH
    assert [name for *_, name in _asked(lab)] == ["extra\x07example", "other\x07example"]


def test_ports_and_ids_cannot_be_guessed(lab: Lab, asker: Guest) -> None:
    """SH20, RFC 5452: each question from a port and with an id of its own, all over the range."""
    names = "\n".join(f"guess{number}.example" for number in range(300))
    asker.machine.run(
        *(sys.executable, "-m", "netyard", "exec", "-i", "asker", "dig", "+short", "-f", "-"),
        input=names,
    )
    asked = _asked(lab)
    ports, ids = ([int(each[column]) for each in asked] for column in (0, 1))
    assert len(asked) == 300
    assert len(set(ports)) > 280 and max(ports) - min(ports) > 20_000
    assert len(set(ids)) > 290 and max(ids) - min(ids) > 60_000
    steps = {abs(one - other) for one, other in itertools.pairwise(ids)}
    assert len(steps) > 250, "they follow one another"


def test_a_question_costs_upstreams_little(lab: Lab, asker: Guest) -> None:
    """SH21: one that is never answered is asked so often and no more, however many wait for it."""
    script = (
        "import socket\n"
        "s = socket.socket(2, 2); s.connect(('127.0.0.11', 53))\n"
        "q = b'\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6silent\\7example\\0\\0\\1\\0\\1'\n"
        "for number in range(50): s.send(number.to_bytes(2, 'big') + q)\n"
        "s.settimeout(20); print(s.recv(999)[3] & 15)\n"
    )
    assert asker.run(sys.executable, "-S", "-c", script).stdout.strip() == "2", "SERVFAIL"
    assert len(_asked(lab)) <= 50 * 3


def _agent(host: Machine) -> str:
    return host.out("pgrep", "-f", "agent --exit-when-idle").split()[0]


def _memory_kib(host: Machine) -> int:
    return int(host.out("awk", "/^Rss/ {print $2}", f"/proc/{_agent(host)}/smaps_rollup"))


def _ticks(host: Machine) -> int:
    words = host.out("cat", f"/proc/{_agent(host)}/stat").rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def _in(guest: Guest, code: str) -> subprocess.Popen[bytes]:
    words = (sys.executable, "-m", "netyard", "exec", guest.name, sys.executable, "-S", "-c", code)
    return guest.machine.popen(*words, stdout=-1)


FLOOD = """
import os, random, socket, time
print("on", flush=True)
s = socket.socket(2, 2); s.connect(("127.0.0.11", 53)); s.setblocking(False)
deadline = time.monotonic() + {seconds}
sent = 0
while time.monotonic() < deadline:
    n = random.randrange(1 << 40)
    label = b"x%011x" % n if {forwarded} else b"victim"
    q = n.to_bytes(5, "big")[:2] + b"\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + bytes([len(label)]) + label
    q += b"\\4evil\\4test\\0\\0\\1\\0\\1" if {forwarded} else b"\\0\\0\\1\\0\\1"
    try:
        s.send(q); sent += 1
    except OSError: pass
    try:
        while True: s.recv(4096)
    except OSError: pass
print(sent)
"""


@pytest.mark.parametrize("forwarded", [False, True], ids=["local", "forwarded"])
def test_a_flood_from_one_container(lab: Lab, forwarded: bool) -> None:
    """Others' lookups succeed, in time, beside a container that asks as fast as it can."""
    host = lab.host
    if forwarded:
        lab.internet.popen(sys.executable, "-S", LIAR, TRUTH, LIE)
    evil, victim = _start(host, "evil", "victim")
    before = _memory_kib(host)
    flood = _in(evil, FLOOD.format(seconds=4, forwarded=forwarded))
    assert flood.stdout is not None and flood.stdout.readline() == b"on\n"
    address = victim.address("net")
    lookup = (
        "import socket, sys, time\n"
        "worst = 0\n"
        "for _ in range(100):\n"
        " began = time.monotonic(); found = socket.gethostbyname('victim')\n"
        " worst = max(worst, time.monotonic() - began); time.sleep(0.02)\n"
        "print(found, worst)\n"
    )
    found, worst = victim.run("python3", "-Sc", lookup).stdout.split()
    assert found == address
    assert float(worst) < SLOWEST_SECONDS * SLOWNESS
    assert int(flood.stdout.readline()) > 5_000
    assert _memory_kib(host) < before + CEILING_KIB


def test_ten_thousand_idle_connections(host: Machine) -> None:
    """SH12: ten containers hold a thousand TCP connections each; all are answered all the same."""
    evil = _start(host, *(f"evil{number}" for number in range(10)), "good")
    good = evil.pop()
    before = _memory_kib(host)
    code = (
        "import resource, socket, time\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
        "held = []\n"
        "for _ in range(1000):\n"
        " s = socket.socket(); s.settimeout(2)\n"
        " try: s.connect(('127.0.0.11', 53)); s.send(b'\\0')\n"
        " except OSError: pass\n"
        " held.append(s)\n"
        "print('held', flush=True); time.sleep(20)\n"
    )
    holders = [_in(each, code) for each in evil]
    for each in holders:
        assert each.stdout is not None and each.stdout.readline() == b"held\n"
    assert good.dig("+tcp", "evil3") == evil[3].address("net")
    assert evil[0].dig("+tcp", "good") == good.address("net")
    assert _memory_kib(host) < before + CEILING_KIB
    descriptors = host.out("ls", f"/proc/{_agent(host)}/fd").count("\n")
    assert descriptors < 10 * 140 + 200, "bounded for each"


def test_garbage(host: Machine) -> None:
    """SH11: frames of every wrong length, loops and lies about sizes: no spinning, no growth."""
    box, other = _start(host, "box", "other")
    code = (
        "import random, socket\n"
        "random.seed(7)\n"
        "loop = b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + b'\\xc0\\x0c' + b'\\0\\1\\0\\1'\n"
        "long = loop[:12] + b'\\x3f' + b'a' * 63 + b'\\x7f' + b'b' * 127 + b'\\0\\0\\1\\0\\1'\n"
        "deep = loop[:12] + b'\\1a' * 200 + b'\\0\\0\\1\\0\\1'\n"
        "udp = socket.socket(2, 2); udp.connect(('127.0.0.11', 53))\n"
        "def noise(): return random.randbytes(random.randrange(1, 600))\n"
        "for message in [loop, long, deep, b'', loop[:12], loop[:5]] + [noise() for _ in range(3000)]:\n"
        " udp.send(message)\n"
        "for number in range(300):\n"
        " tcp = socket.create_connection(('127.0.0.11', 53), 2)\n"
        " body = random.choice([loop, long, deep, noise(), b''])\n"
        " length = random.choice([0, len(body), len(body) + 1, 65535, 1])\n"
        " try: tcp.send(length.to_bytes(2, 'big') + body)\n"
        " except OSError: pass\n"
        " tcp.close()\n"
        "print('done')\n"
    )
    before = _memory_kib(host)
    assert box.run(sys.executable, "-S", "-c", code).stdout.strip() == "done"
    assert other.dig("box") == box.address("net")
    time.sleep(0.3)
    began = _ticks(host)
    time.sleep(2)
    assert _ticks(host) - began < 20, "it spins"
    assert _memory_kib(host) < before + CEILING_KIB
    assert json.loads(host.ny("inspect", "box"))[0]["State"]["Running"]
