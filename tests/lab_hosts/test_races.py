"""Many commands at once: nobody gets what another has, and at the end all agree."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from agreement import kernel, told, wait_for_kernel
from lab import Machine

CHURN = str(Path(__file__).parents[1] / "churn.py")
SECONDS = int(os.environ.get("RACE_SECONDS", "12"))
PROCESSES, THREADS, AGENT_SECONDS = 50, 16, 2


@pytest.mark.timeout(SECONDS + 300)
def test_everybody_at_once(host: Machine) -> None:
    """IP13: no address, port or name twice, no deadlock, no error that is not in the contract.

    Nor beside an agent that is killed every other second.
    """
    host.ny("network", "create", "--subnet", "172.29.0.0/24", "steady")
    host.ny("run", "-d", "--name", "witness", "--network", "steady", "sleep", "6000")
    # The first removal leaves more than the next.
    host.ny("run", "--rm", "--network", "steady", "true")
    before = kernel(host)
    numbers = map(str, (SECONDS, PROCESSES, THREADS, os.getpid(), AGENT_SECONDS))
    done = host.run(sys.executable, CHURN, *numbers, timeout=SECONDS + 200)
    outcomes = json.loads(done.stdout)
    print(json.dumps(outcomes))
    wrong = [each for each in outcomes if each[1] not in ("done", "refused")]
    assert not wrong, wrong
    ended = {each[0] for each in outcomes if each[1] == "done"}
    assert {"run", "list", "kill the agent"} <= ended
    found = told(host)
    networks = json.loads(host.ny("network", "inspect", *host.ny("network", "ls", "-q").split()))
    addresses = [
        member["IPv4Address"] for each in networks for member in each["Containers"].values()
    ]
    assert len(addresses) == len(set(addresses))
    for name in found:
        if name != "witness":
            host.ny("rm", "-f", name)
    for each in networks:
        if each["Name"].startswith("net"):
            host.ny("network", "rm", each["Name"])
    wait_for_kernel(host, before, "after the races")
