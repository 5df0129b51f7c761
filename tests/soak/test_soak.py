"""Churn, traffic and names for minutes: nothing is lost on the way, and nothing piles up.

``make soak MINUTES=60``; what was sampled is written to ``benches/results/soak.json``, which
``benches/plot.py soak`` draws.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agreement import kernel, told, wait_for_kernel
from lab import HOST, SERVER, Lab, Machine, wait_for

MINUTES = float(os.environ.get("SOAK_MINUTES", "3"))
SECONDS = int(MINUTES * 60)
SAMPLE_SECONDS = 2.0
CHURN = str(Path(__file__).parents[1] / "churn.py")
RESULTS = Path(__file__).parents[2] / "benches" / "results" / "soak.json"
WEB = (sys.executable, "-S", SERVER, "80")
# Of a sampled quantity: how much more there may be in the last third than in the second, however long
# it takes.
SLACK = {"agent MiB": 2.0, "agent descriptors": 20, "store KiB": 4096}

# Asks names and fetches pages until it is told to stop, and says what failed.
VISITOR = """
import json, select, socket, sys, time
done, failed = 0, []
while not select.select([sys.stdin], [], [], 0)[0]:
    for name in ("web", "web.net", "example.test"):
        try:
            address = socket.gethostbyname(name)
            if name != "example.test":
                with socket.create_connection((address, 80), 5) as page:
                    assert page.recv(99).startswith(b"hello")
            done += 1
        except (OSError, AssertionError) as error:
            failed.append(f"{name}: {error}")
    time.sleep(0.02)
print(json.dumps([done, failed]))
"""
_COUNTS = """
agent=$(pgrep -f ' agent --exit-when-idle' | head -n 1)
awk '/^Pss:/ {print $2 / 1024}' /proc/$agent/smaps_rollup; ls /proc/$agent/fd | wc -l
ip -o link | wc -l; nft list ruleset | wc -l; ls /run/netyard/netns | wc -l
wc -l </proc/self/mountinfo; cat /proc/sys/net/netfilter/nf_conntrack_count
du -sk /var/lib/netyard | cut -f1; grep -h '^Slab' /proc/meminfo | tr -dc 0-9; echo
"""
_NAMES = (
    "agent MiB",
    "agent descriptors",
    "links",
    "lines of rules",
    "namespaces",
    "mounts",
    "flows",
    "store KiB",
    "slab KiB",
)


def _sample(host: Machine) -> dict[str, float]:
    words = host.out("sh", "-c", _COUNTS).split()
    return dict(zip(_NAMES, map(float, words), strict=True))


@pytest.mark.timeout(SECONDS + 300)
def test_soak(lab: Lab) -> None:
    """What stands is served without a gap; the agent and the kernel end as they began."""
    host = lab.host
    lab.serve_internet()
    host.ny("network", "create", "--subnet", "172.29.0.0/24", "net")
    host.ny("run", "-d", "--name", "web", "--network", "net", "-p", "8888:80", *WEB)
    host.ny("run", "-d", "--name", "visitor", "--network", "net", "sleep", "90000")
    host.ny("run", "--rm", "--network", "net", "true")
    wait_for(lambda: lab.neighbour.fetch(HOST, 8888))
    before = kernel(host)
    visitor = host.popen(
        *(
            sys.executable,
            "-m",
            "netyard",
            "exec",
            "-i",
            "visitor",
            sys.executable,
            "-S",
            "-c",
            VISITOR,
        ),
        stdin=-1,
        stdout=-1,
    )
    outside: list[str | None] = []
    is_over = threading.Event()

    def visit_from_outside() -> None:
        while not is_over.wait(0.2):
            outside.append(lab.neighbour.fetch(HOST, 8888, seconds=5))

    thread = threading.Thread(target=visit_from_outside)
    thread.start()
    churn = host.popen(sys.executable, CHURN, str(SECONDS), "2", "2", "7", stdout=-1)
    samples = []
    began = time.monotonic()
    while churn.poll() is None:
        samples.append({"second": time.monotonic() - began, **_sample(host)})
        time.sleep(SAMPLE_SECONDS)
    is_over.set()
    thread.join()
    shown, _ = visitor.communicate(b"stop\n", timeout=60)
    done, failed = json.loads(shown)
    assert churn.stdout is not None
    outcomes = json.loads(churn.stdout.read())
    changes = sum(times for *_, times in outcomes)
    RESULTS.write_text(
        json.dumps(
            {
                "minutes": MINUTES,
                "changes": changes,
                "visits": done,
                "visits from outside": len(outside),
                "samples": samples,
            }
        )
        + "\n"
    )
    print(f"{changes} changes, {done} visits inside, {len(outside)} from outside")
    wrong = [each for each in outcomes if each[1] not in ("done", "refused")]
    assert not wrong, wrong
    assert not failed, failed[:9]
    assert outside and all(outside)
    _check_flat(samples)
    for name in told(host):
        if name not in ("web", "visitor"):
            host.ny("rm", "-f", name)
    for network in host.ny("network", "ls", "--format", "{{.Name}}").split():
        if network.startswith("net") and network != "net":
            host.ny("network", "rm", network)
    wait_for_kernel(host, before, "after the soak")


def _check_flat(samples: list[dict[str, Any]]) -> None:
    third = len(samples) // 3
    assert third > 5, "too short to tell"
    for name, slack in SLACK.items():
        middle, last = (
            statistics.median(each[name] for each in part)
            for part in (samples[third : 2 * third], samples[2 * third :])
        )
        assert last <= middle + slack, (name, middle, last)
