"""Random commands against one host, by many processes and threads at once, for a while.

    churn.py SECONDS PROCESSES THREADS SEED [AGENT_SECONDS]

Run on a lab host, whose agent is killed every so many seconds if that is given. Prints, as JSON, how often each operation ended how. Names, addresses and ports
are few, so that everybody is in everybody's way. What the contract allows is counted as refused;
anything else is given in full.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import lab_only
from netyard import Container, Host, Network
from netyard.errors import Conflict, Exhausted, Invalid, NetyardError, NotFound
from netyard.ipc import agent

NETWORKS = [f"net{number}" for number in range(5)]
BOXES = [f"box{number}" for number in range(12)]
PORTS = range(8000, 8012)
# What somebody who comes too late, or whose things were taken away meanwhile, may be told.
EXPECTED = (Conflict, NotFound, Exhausted, Invalid)
COMPLAINTS = (
    "exists",
    "there is no",
    "in use",
    "is used by",
    "is taken by",
    "is in no subnet",
    "overlaps",
    "is not",
    "already",
    "has no",
    "has been removed",
    "belongs to",
)
# Longer than any lock may be held by all the others together.
PATIENCE_SECONDS = 120

Outcome = tuple[str, str]


def words(dice: random.Random) -> list[str]:
    """A command line."""
    net, box, port = dice.choice(NETWORKS), dice.choice(BOXES), dice.choice(PORTS)
    subnet = f"172.30.{NETWORKS.index(net)}.0/24"
    address = f"172.30.{NETWORKS.index(net)}.{dice.randrange(2, 9)}"
    start = ["run", "-d", "--name", box, "--network", net]
    return dice.choice(
        [
            ["network", "create", "--subnet", subnet, net],
            ["network", "rm", net],
            [*start, "sleep", "600"],
            [*start, "-p", f"{port}:80", "sleep", "600"],
            [*start, "--ip", address, "sleep", "600"],
            ["run", "--rm", "--network", net, "true"],
            ["network", "connect", net, box],
            ["network", "disconnect", net, box],
            ["port", "add", box, f"{port}:80"],
            ["port", "rm", box, f"{port}:80"],
            ["rename", box, dice.choice(BOXES)],
            ["stop", "-t", "0", box],
            ["start", box],
            ["rm", "-f", box],
            ["ps", "-a"],
            ["network", "inspect", net],
            ["inspect", box],
        ]
    )


def by_command(dice: random.Random) -> Outcome:
    """One process."""
    command = words(dice)
    done = subprocess.run(
        [sys.executable, "-m", "netyard", *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    what = " ".join(command[:2] if command[0] in ("network", "port") else command[:1])
    if done.returncode == 0:
        return what, "done"
    is_expected = done.stderr.startswith("netyard: ") and "Traceback" not in done.stderr
    if is_expected and any(each in done.stderr for each in COMPLAINTS):
        return what, "refused"
    return what, f"{done.returncode}: {' '.join(command)}: {done.stderr}"


def by_call(host: Host, dice: random.Random) -> Outcome:
    """One operation of the library, on a host that threads share."""
    net, box, port = dice.choice(NETWORKS), dice.choice(BOXES), dice.choice(PORTS)
    operations: dict[str, Callable[[], object]] = {
        "create": lambda: Network.create(net, host=host),
        "remove network": lambda: Network.get(net, host=host).remove(),
        "start": lambda: Container.run("sleep", "600", name=box, network=net, host=host),
        "publish": lambda: Container.get(box, host=host).add_ports(f"{port}:80"),
        "take back": lambda: Container.get(box, host=host).remove_ports(f"{port}:80"),
        "connect": lambda: Network.get(net, host=host).connect(Container.get(box, host=host)),
        "disconnect": lambda: Network.get(net, host=host).disconnect(Container.get(box, host=host)),
        "remove": lambda: Container.get(box, host=host).remove(force=True),
        "list": lambda: Container.list(all=True, host=host),
    }
    name = dice.choice(list(operations))
    try:
        operations[name]()
    except EXPECTED as error:
        return name, "refused" if name != "list" else repr(error)
    except NetyardError as error:
        return name, f"{type(error).__name__}: {error}"
    except Exception as error:
        return name, f"unexpected {error!r}"
    return name, "done"


def kill_agent(host: Host, seconds: int) -> Outcome:
    """End the agent as the kernel would when memory runs out, now and then."""
    time.sleep(seconds)
    found = agent.request(host.layout, {"op": "ping"})
    if found is None:
        return "kill the agent", "refused"
    with suppress(ProcessLookupError):
        os.kill(int(found["pid"]), signal.SIGKILL)
    return "kill the agent", "done"


def main() -> None:
    """Everybody at once until the time is over."""
    lab_only.check()
    seconds, processes, threads, seed, *agent_lives = map(int, sys.argv[1:])
    deadline = time.monotonic() + seconds
    host, outcomes, lock = Host(), Counter[Outcome](), threading.Lock()

    def go_on(number: int, operation: Callable[[random.Random], Outcome]) -> None:
        dice = random.Random(f"{seed} {number}")
        while time.monotonic() < deadline:
            outcome = operation(dice)
            with lock:
                outcomes[outcome] += 1

    with ThreadPoolExecutor(processes + threads + 1) as pool:
        started = [pool.submit(go_on, number, by_command) for number in range(processes)]
        started += [
            pool.submit(go_on, -1 - number, lambda dice: by_call(host, dice))
            for number in range(threads)
        ]
        started += [
            pool.submit(go_on, 0, lambda _, life=life: kill_agent(host, life))
            for life in agent_lives
        ]
        for each in started:
            each.result()
    print(json.dumps([[*outcome, times] for outcome, times in outcomes.items()]))


if __name__ == "__main__":
    main()
