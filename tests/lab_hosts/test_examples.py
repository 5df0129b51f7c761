"""The programs in ``examples/``, and the demonstration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import SLOWNESS, Machine

EXAMPLES = Path(__file__).parents[2] / "examples"

OUTPUTS = {
    "quickstart.py": [
        "client reached web by name",
        "published: 8000/tcp -> 0.0.0.0:8080",
        "from the host: 200",
    ],
    "redis_shared_namespace.py": ["PONG"],
    "isolation.py": ["apart: False", "connected: True", "disconnected: False"],
    "adopt_namespace.py": [
        "10.123.0.7",
        "80/tcp -> 0.0.0.0:8080",
        "refused: --ip: 10.123.0.7 of network 'lab-net' belongs to container 'lab'",
        "given back",
    ],
}


def test_every_example_is_run() -> None:
    """No example without a test."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(OUTPUTS)


@pytest.mark.parametrize("name", OUTPUTS)
def test_example(host: Machine, name: str) -> None:
    """Each prints what it should and leaves nothing."""
    host.run("ip", "netns", "add", "lab")
    done = host.run(sys.executable, str(EXAMPLES / name), "/run/netns/lab")
    assert done.stdout.splitlines() == OUTPUTS[name]
    assert host.ny("ps", "-aq") == ""
    assert host.ny("network", "ls", "-q").count("\n") == 2, "only the built-in ones are left"


def test_docker_tour(host: Machine) -> None:
    """Every command line of Docker's networking overview, with netyard for docker."""
    netyard = str(Path(sys.executable).with_name("netyard"))
    script = str(EXAMPLES / "docker_tour.sh")
    done = host.run("sh", script, env={"NETYARD": netyard}, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  ok: ") == 38
    assert host.ny("ps", "-aq") == ""


def test_demo() -> None:
    """It shows everything, and this machine is as it was."""

    def machine() -> list[str]:
        links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
        return [links, rules, Path("/proc/sys/net/ipv4/ip_forward").read_text()]

    before = machine()
    done = subprocess.run(
        [sys.executable, "-m", "netyard", "demo"],
        capture_output=True,
        text=True,
        timeout=60 * SLOWNESS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 as they should be" in done.stdout
    assert "200 hello from web" in done.stdout
    assert machine() == before


def test_demo_of_macvlan_and_ipvlan() -> None:
    """``demo l2``: what this kernel lacks is said, the rest is as it should be."""
    done = subprocess.run(
        [sys.executable, "-m", "netyard", "demo", "l2"],
        capture_output=True,
        text=True,
        timeout=90 * SLOWNESS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = 11 + 2 * ("ipvlan is not shown" not in done.stdout)
    shown += "VLANs are not shown" not in done.stdout
    assert f"{shown} of {shown} as they should be" in done.stdout


def test_demo_of_overlays() -> None:
    """``demo overlay``: two hosts and an etcd on a throw-away machine."""
    command = [sys.executable, "-m", "netyard", "demo", "overlay"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 * SLOWNESS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 9 as they should be" in done.stdout


def test_demo_as_json() -> None:
    """``--format json`` for programs."""
    done = subprocess.run(
        [sys.executable, "-m", "netyard", "demo", "--format", "json"],
        capture_output=True,
        text=True,
        timeout=60 * SLOWNESS,
    )
    steps = json.loads(done.stdout)
    assert len(steps) == 10
    assert all(step["is_right"] for step in steps)
