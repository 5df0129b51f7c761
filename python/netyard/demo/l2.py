"""The demonstration of macvlan and ipvlan: containers on the wire, beside the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import netyard._core as _core
from netyard.api.container import Container
from netyard.api.host import Host
from netyard.api.network import Network
from netyard.demo.stage import (
    FETCH,
    HOST,
    NEIGHBOUR,
    PAGE,
    PATIENCE_SECONDS,
    PING,
    Cast,
    Demonstration,
    wait_for,
    web_server,
)

_LAN = "192.0.2.0/24"
_RANGES = {"lan": "192.0.2.64/27", "near": "192.0.2.96/27", "apart": "192.0.2.128/27"}
_TWO_SUBNETS = ("10.51.0.0/24", "10.52.0.0/24")

_PICTURE = """
   ═════ the wire, 192.0.2.0/24 ═══════════════════════════════════════════════
        │               │              │              │               │
   ┌────┴──────┐   ┌────┴────┐    ┌────┴────┐    ┌────┴────┐    ┌─────┴─────┐
   │ neighbour │   │ web     │    │ client  │    │ box     │    │ host      │
   │       .20 │   │     .64 │    │     .65 │    │     .97 │    │ eth0  .10 │
   └───────────┘   └─────────┘    └─────────┘    └─────────┘    └───────────┘
     GET web {lan}           network lan           host_access        GET web {host}
                                                                  GET box {near}
"""


def play(demonstration: Demonstration, cast: Cast) -> None:
    """Networks on one parent interface, in turn; what a kernel lacks is said, not shown."""
    with web_server() as serve:
        _macvlan(demonstration, cast, serve)
    _remove_all(cast.host)
    if _core.knows_link_kind("ipvlan"):
        _ipvlan(demonstration, cast)
        _remove_all(cast.host)
    else:
        demonstration.say("\n▸ ipvlan is not shown: this kernel lacks its module")
    if _core.knows_link_kind("vlan"):
        demonstration.step(
            "netyard network create -d macvlan -o parent=eth0.50 vlan",
            lambda: _vlan(cast.host),
            lambda out: out == "lo eth0 eth0.50",
        )
    else:
        demonstration.say("\n▸ VLANs are not shown: this kernel lacks the module 8021q")
    demonstration.step(
        "netyard network rm …: everything is as it was",
        lambda: _remove_all(cast.host),
        lambda out: out == "lo eth0",
    )


def _create(host: Host, name: str, **options: str) -> Callable[[], str]:
    def create() -> str:
        made = Network.create(
            name,
            driver="macvlan",
            subnet=_LAN,
            ip_range=_RANGES[name],
            options=options,
            host=host,
        )
        return f"{name} {_RANGES[name]} of {_LAN}, parent interface {made.parent}"

    return create


def _macvlan(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> None:
    lan, own = _lan(demonstration, cast, serve)
    apart = demonstration.step(
        f"the host tries http://{own}/: the kernel keeps it apart from its containers",
        lambda: cast.here(FETCH, f"http://{own}/", str(PATIENCE_SECONDS)),
        lambda out: "no reply" in out,
    )
    near = _host_access(demonstration, cast, serve)
    _private(demonstration, cast, serve)
    demonstration.step(
        "netyard run -p 8080:80 … on such a network says why no port is published",
        lambda: _unpublished(cast, serve),
        lambda out: "on the wire itself" in out,
    )
    demonstration.say(
        _PICTURE.format(
            lan="✓" if lan else "?", host="✗" if apart else "?", near="✓" if near else "?"
        ).rstrip()
    )


def _lan(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> tuple[bool, str]:
    """Containers on the wire: whether the neighbour reaches one, and this one's address."""
    step, host = demonstration.step, cast.host
    # The kernel takes the interface of the default route, and there is none on this wire.
    step(
        f"netyard network create -d macvlan -o parent=eth0 --subnet {_LAN} "
        f"--ip-range {_RANGES['lan']} lan",
        _create(host, "lan", parent="eth0"),
        lambda out: "eth0" in out,
    )
    step(
        "netyard run -d --name web --network lan python3 -m http.server 80",
        lambda: cast.run("web", "lan", *serve),
        lambda out: "192.0.2.64" in out,
    )
    own = cast.address("web", "lan")
    wait_for(lambda: PAGE in cast.inside("web", FETCH, "http://127.0.0.1", "1"))
    lan = step(
        f"the neighbour fetches http://{own}/, the container's own address on the wire",
        lambda: cast.outside(FETCH, f"http://{own}/", "2"),
        lambda out: PAGE in out,
    )
    step(
        "web's log shows the neighbour's address: addresses are not translated",
        lambda: _asked(host),
        lambda out: out.startswith(str(NEIGHBOUR)),
    )
    cast.run("client", "lan")
    step(
        "client pings web by its name",
        lambda: cast.inside("client", PING, "web"),
        lambda out: "reply" in out and own in out,
    )
    return lan, own


def _host_access(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> bool:
    """Whether the host and a container reach each other with ``host_access``."""
    step, host = demonstration.step, cast.host
    step(
        f"netyard network create -d macvlan -o host_access=true --ip-range {_RANGES['near']} near",
        _create(host, "near", parent="eth0", host_access="true"),
        bool,
    )
    cast.run("box", "near", *serve)
    wait_for(lambda: PAGE in cast.inside("box", FETCH, "http://127.0.0.1", "1"))
    return step(
        "the host fetches from box, and box pings the host",
        lambda: "\n".join(
            [
                cast.here(FETCH, f"http://{cast.address('box', 'near')}/", "2"),
                cast.inside("box", PING, str(HOST)),
            ]
        ),
        lambda out: PAGE in out and "reply from" in out,
    )


def _private(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> None:
    """Containers of a network whose mode is ``private`` do not reach each other."""
    host = cast.host
    _create(host, "apart", parent="eth0", macvlan_mode="private")()
    cast.run("left", "apart")
    cast.run("right", "apart", *serve)
    wait_for(lambda: PAGE in cast.inside("right", FETCH, "http://127.0.0.1", "1"))
    demonstration.step(
        "-o macvlan_mode=private: left tries http://right/, the neighbour as well",
        lambda: "\n".join(
            [
                cast.inside("left", FETCH, "http://right/", str(PATIENCE_SECONDS)),
                cast.outside(FETCH, f"http://{cast.address('right', 'apart')}/", "2"),
            ]
        ),
        lambda out: "no reply" in out.splitlines()[0] and PAGE in out,
    )


def _asked(host: Host) -> str:
    lines = [record.data.decode().strip() for record in Container.get("web", host=host).logs()]
    return next((line for line in reversed(lines) if str(NEIGHBOUR) in line), "no request")


def _unpublished(cast: Cast, serve: Sequence[str]) -> str:
    cast.run("late", "lan", *serve, publish=["8080:80"])
    return Container.get("late", host=cast.host).unpublished() or "published"


def _ipvlan(demonstration: Demonstration, cast: Cast) -> None:
    def create() -> str:
        options = {"parent": "eth0", "ipvlan_mode": "l3"}
        Network.create(
            "routed", driver="ipvlan", subnet=_TWO_SUBNETS, options=options, host=cast.host
        )
        return "routed " + " ".join(_TWO_SUBNETS)

    demonstration.step(
        "netyard network create -d ipvlan -o ipvlan_mode=l3 --subnet … --subnet … routed",
        create,
        bool,
    )
    for name, address in (("one", "10.51.0.7"), ("two", "10.52.0.7")):
        Container.run("sleep", "600", name=name, network="routed", ip=address, host=cast.host)
    demonstration.step(
        "one pings two, of the other subnet; the neighbour, without a route, reaches neither",
        lambda: "\n".join(
            [
                cast.inside("one", PING, "two"),
                cast.outside(FETCH, "http://10.51.0.7/", str(PATIENCE_SECONDS)),
            ]
        ),
        lambda out: "reply from" in out and "no reply" in out,
    )


def _vlan(host: Host) -> str:
    Network.create("vlan", driver="macvlan", options={"parent": "eth0.50"}, host=host)
    return " ".join(link.name for link in _core.list_links())


def _remove_all(host: Host) -> str:
    for container in Container.list(all=True, host=host):
        container.remove(force=True)
    for network in Network.list(filters=["type=custom"], host=host):
        network.remove()
    wait_for(lambda: len(_core.list_links()) == 2)
    return " ".join(link.name for link in _core.list_links())
