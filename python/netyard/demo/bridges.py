"""The demonstration of bridge networks: what is reachable from where, and by which rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import netyard._core as _core
from netyard.api.container import Container
from netyard.api.host import Host
from netyard.api.network import Network
from netyard.demo.stage import (
    FETCH,
    HOST,
    PAGE,
    PATIENCE_SECONDS,
    PING,
    RESOLVE,
    Cast,
    Demonstration,
    wait_for,
    web_server,
)
from netyard.firewall.rules import base_steps
from netyard.firewall.steps import AddRule
from netyard.state.records import singly

_PICTURE = """
   neighbour 192.0.2.20               host 192.0.2.10
   ┌────────────────────┐  the wire  ┌──────────────────────────────────────────────────┐
   │ GET host:8080    {published} │────────────│ :8080 ──▶ web:80                                 │
   │ GET {address:<11}  {direct} │            │                                                  │
   └────────────────────┘            │  my-net {subnet:<17} other {other:<17}│
                                     │  ┌─────┐   ┌────────┐    ┌──────────┐            │
                                     │  │ web │◀──│ client │    │ stranger │            │
                                     │  └─────┘   └────────┘    └──────────┘            │
                                     │     ▲  ping {ping}  GET {fetch}          │ GET {isolated}            │
                                     │     └─────────── ✗ ───────────┘                  │
                                     └──────────────────────────────────────────────────┘
"""


def play(demonstration: Demonstration, cast: Cast) -> None:
    """A network, two containers, a neighbour and a stranger."""
    with web_server() as serve:
        _play(demonstration, cast, serve)


def _play(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> None:
    own = _make(demonstration, cast, serve)
    ping, fetch = _within(demonstration, cast, own)
    published, direct = _from_neighbour(demonstration, cast, own)
    other = _create(cast.host, "other").split()[1]
    isolated = _from_stranger(demonstration, cast, own)
    demonstration.say("\n▸ the firewall: constant rules, and elements for networks and ports")
    for line in _rules(cast.host):
        demonstration.say(f"    {line}")
    demonstration.say(
        _PICTURE.format(
            published="✓" if published else "?",
            direct="✗" if direct else "?",
            ping="✓" if ping else "?",
            fetch="✓" if fetch else "?",
            isolated="✗" if isolated else "?",
            address=own,
            subnet=str(Network.get("my-net", host=cast.host).record.pools[0].subnet),
            other=other,
        ).rstrip()
    )
    demonstration.step(
        "netyard rm -f web client stranger",
        lambda: _clean_up(cast.host),
        lambda out: out == "lo eth0",
    )


def _create(host: Host, name: str) -> str:
    return f"{name} {Network.create(name, host=host).record.pools[0].subnet}"


def _make(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> str:
    """A network, a web server and its client on it; the server's address."""
    step = demonstration.step
    step("netyard network create my-net", lambda: _create(cast.host, "my-net"), bool)
    step(
        "netyard run -d --name web --network my-net -p 8080:80 python3 -m http.server 80",
        lambda: cast.run("web", "my-net", *serve, publish=["8080:80"]),
        bool,
    )
    own = cast.address("web", "my-net")
    wait_for(lambda: PAGE in cast.inside("web", FETCH, "http://127.0.0.1", "1"))
    step(
        "netyard run -d --name client --network my-net sleep 600",
        lambda: cast.run("client", "my-net"),
        bool,
    )
    return own


def _within(demonstration: Demonstration, cast: Cast, own: str) -> tuple[bool, bool]:
    """What a container reaches on its own network: whether it pings, and fetches."""
    step, inside = demonstration.step, cast.inside
    step("client resolves web", lambda: inside("client", RESOLVE, "web"), lambda out: own in out)
    ping = step(
        "client pings web", lambda: inside("client", PING, "web"), lambda out: "reply" in out
    )
    fetch = step(
        "client fetches http://web/",
        lambda: inside("client", FETCH, "http://web/", "2"),
        lambda out: PAGE in out,
    )
    return ping, fetch


def _from_neighbour(demonstration: Demonstration, cast: Cast, own: str) -> tuple[bool, bool]:
    """Whether the neighbour reaches the published port, and does not reach the container."""
    step = demonstration.step
    published = step(
        f"the neighbour fetches http://{HOST}:8080/, the published port",
        lambda: cast.outside(FETCH, f"http://{HOST}:8080/", str(PATIENCE_SECONDS)),
        lambda out: PAGE in out,
    )
    direct = step(
        f"the neighbour tries http://{own}/, the container itself, with a route to it",
        lambda: cast.outside(FETCH, f"http://{own}/", str(PATIENCE_SECONDS)),
        lambda out: "timed out" in out,
    )
    return published, direct


def _from_stranger(demonstration: Demonstration, cast: Cast, own: str) -> bool:
    """Whether a container of another network reaches neither the name nor the address."""
    inside = cast.inside
    cast.run("stranger", "other")
    return demonstration.step(
        f"stranger, on another network, tries the name web and http://{own}/",
        lambda: "\n".join(
            [
                inside("stranger", RESOLVE, "web").splitlines()[-1],
                inside("stranger", FETCH, f"http://{own}/", str(PATIENCE_SECONDS)),
            ]
        ),
        lambda out: "timed out" in out and own not in out.splitlines()[0],
    )


def _clean_up(host: Host) -> str:
    for container in Container.list(all=True, host=host):
        container.remove(force=True)
    for name in ("my-net", "other"):
        Network.get(name, host=host).remove()
    wait_for(lambda: len(_core.list_links()) == 2)
    return " ".join(link.name for link in _core.list_links())


def _rules(host: Host) -> Iterator[str]:
    """The rules in force, in words: what `nft list table inet netyard` shows as comments."""
    chain = ""
    for step in base_steps(guards_forwarding=False):
        if not isinstance(step, AddRule):
            continue
        if step.chain != chain:
            chain = step.chain
            yield f"{chain}:"
        last = step.statements[-1]
        verb = last.verb
        word = {"dnat map": "dnat", "jump": f"jump {last[-1]}"}.get(verb, verb)
        yield f"  {word:15}  {step.comment}"
    for network in host.store.networks():
        if network.state == "ready" and network.bridge:
            yield f"element: {network.bridge} is {network.name}"
    for each in singly(host.store.publications()):
        yield f"element: {each.protocol} {each.host_port} : {each.address}:{each.container_port}"
