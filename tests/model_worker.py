"""Operations of the library, asked for by lines of JSON: ``[operation, word, …]``.

Each is answered by a line: ``["done", result]``, or the name of the error and its text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import lab_only
from netyard import Container, Host, Network

lab_only.check()
host = Host()


def state() -> object:
    """Networks, and of each container whether it runs, its networks and its host ports."""
    shown = {}
    for each in Container.list(all=True, host=host):
        settings = each.inspect()["NetworkSettings"]
        ports = sorted(
            int(bound["HostPort"]) for some in settings["Ports"].values() for bound in some or ()
        )
        # Both families have the same.
        shown[each.name] = [each.record.state, sorted(settings["Networks"]), sorted(set(ports))]
    networks = [each.name for each in Network.list(host=host) if not each.record.is_builtin]
    return [sorted(networks), shown]


def box(name: str) -> Container:
    return Container.get(name, host=host)


def net(name: str) -> Network:
    return Network.get(name, host=host)


OPERATIONS: dict[str, Callable[..., object]] = {
    "state": state,
    "create": lambda name: Network.create(name, host=host).name,
    "remove": lambda name: net(name).remove(),
    "run": lambda name, on: Container.run("sleep", "600", name=name, network=on, host=host).name,
    "connect": lambda on, name: str(net(on).connect(box(name)) and ""),
    "disconnect": lambda on, name: net(on).disconnect(box(name)),
    "publish": lambda name, port: str(box(name).add_ports(f"{port}:80") and ""),
    "take back": lambda name, port: box(name).remove_ports(f"{port}:80"),
    "stop": lambda name: box(name).stop(0),
    "start": lambda name: box(name).start(),
    "rename": lambda name, new: box(name).rename(new),
    "rm": lambda name: box(name).remove(force=True),
}

for line in sys.stdin:
    operation, *words = json.loads(line)
    try:
        answer = ["done", OPERATIONS[operation](*words)]
    except Exception as error:
        answer = [type(error).__name__, str(error)]
    print(json.dumps(answer), flush=True)
