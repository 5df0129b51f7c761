"""The demonstration of overlay networks: two hosts, one network, an etcd.

The neighbour is the second host, with a root of its own: it is told what to do as a user would, by
the command.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec

import netyard._core as _core
from netyard.api.container import Container
from netyard.api.host import Host
from netyard.api.network import Network
from netyard.demo.stage import (
    FETCH,
    HOST,
    NEIGHBOUR,
    PAGE,
    PING,
    Cast,
    Demonstration,
    wait_for,
    web_server,
)
from netyard.errors import NetyardError
from netyard.runtime import shim
from netyard.runtime.own_command import own_command, python_command

_ETCD = f"http://{HOST}:2379"
_DATA = "/run/etcd"

_PICTURE = """
   ┌─ host one, 192.0.2.10 ────────┐        ┌─ host two, 192.0.2.20 ────────┐
   │  ┌──────┐         ┌──────┐    │        │  ┌────────┐                   │
   │  │ db   │         │ etcd │    │        │  │ client │                   │
   │  └──┬───┘         └──────┘    │        │  └──┬─────┘                   │
   │     └── network shared ═══════╪════════╪═════╧══  {carrier}
   └───────────────────────────────┘        └───────────────────────────────┘
     ping by name {ping}      web moves in {moved}      etcd is not asked for either
"""


def play(demonstration: Demonstration, cast: Cast) -> None:
    """A network over two hosts, names that move, and what is left of it without etcd."""
    missing = [name for name in ("etcd",) if shutil.which(name) is None]
    if find_spec("etcd3gw") is None:
        missing.append("the Python package etcd3gw")
    if missing:
        demonstration.say(
            f"\n▸ overlay networks are not shown: {' and '.join(missing)} must be installed first "
            "(Debian: apt install etcd-server; pip install 'netyard[overlay]')"
        )
        return
    with _Etcd() as etcd, web_server() as serve:
        _show(demonstration, cast, etcd, serve)


def _show(demonstration: Demonstration, cast: Cast, etcd: _Etcd, serve: Sequence[str]) -> None:
    is_encrypted = _make(demonstration, cast, serve)
    ping = _across(demonstration, cast)
    moved = _moved(demonstration, cast)
    _without_etcd(demonstration, cast, etcd)
    demonstration.step(
        "etcd is back; everything is removed, on both hosts: nothing is left",
        lambda: _remove_all(cast),
        lambda out: out == "lo eth0 | lo eth0",
    )
    carrier = "WireGuard" if is_encrypted else "VXLAN"
    demonstration.say(_PICTURE.format(carrier=carrier, ping=ping, moved=moved))


def _make(demonstration: Demonstration, cast: Cast, serve: Sequence[str]) -> bool:
    """A network with containers on both hosts; whether it is encrypted."""
    step = demonstration.step
    step(
        f"netyard host join --etcd {_ETCD} --advertise {HOST}; the same on host two",
        lambda: _join(cast),
        lambda out: "one" in out and "two" in out,
    )
    is_encrypted = _core.knows_wireguard()
    words = "--opt encrypted " if is_encrypted else ""
    if not is_encrypted:
        demonstration.say("\n▸ not encrypted here: this kernel lacks the module wireguard")
    step(
        f"netyard network create -d overlay {words}shared; host two lists it",
        lambda: _create(cast, is_encrypted=is_encrypted),
        lambda out: "shared" in out,
    )
    cast.run("db", "shared")
    step(
        "netyard run -d --name web -p 8080:80 --network shared python3 -m http.server 80",
        lambda: cast.run("web", "shared", *serve, publish=["8080:80"]),
        bool,
    )
    _second(cast, "run", "-d", "--name", "client", "--network", "shared", "sleep", "600")
    wait_for(lambda: PAGE in cast.inside("web", FETCH, "http://127.0.0.1", "1"))
    return is_encrypted


def _across(demonstration: Demonstration, cast: Cast) -> str:
    """Containers reach each other from host to host; how long a ping takes."""
    step = demonstration.step
    ping = step(
        "client, on host two, pings web by its name",
        lambda: _as_client(cast, PING, "web"),
        lambda out: "reply from web" in out,
    )
    ping_time = demonstration.steps[-1].output.rpartition(" in ")[2] if ping else "✗"
    step(
        "client fetches http://web/, and host two the published port of host one",
        lambda: "\n".join(
            [
                _as_client(cast, FETCH, "http://web/", "2"),
                cast.outside(FETCH, f"http://{HOST}:8080/", "2"),
            ]
        ),
        lambda out: out.count(PAGE) == 2,
    )
    return ping_time


def _moved(demonstration: Demonstration, cast: Cast) -> str:
    """A container moves to the other host; how long its name leads nowhere."""
    demonstration.step(
        "netyard rm -f web here, netyard run … web on host two: db reaches it by the same name",
        lambda: _move(cast),
        lambda out: "reply from web" in out,
    )
    return demonstration.steps[-1].output.splitlines()[-1].partition("resolves anew after ")[2]


def _without_etcd(demonstration: Demonstration, cast: Cast, etcd: _Etcd) -> None:
    """With etcd killed, what runs goes on, and new containers are refused."""
    step = demonstration.step
    etcd.stop()
    step(
        "etcd is killed: what runs goes on, names and all",
        lambda: _as_client(cast, PING, "db"),
        lambda out: "reply from db" in out,
    )
    step(
        "netyard run --network shared: what is new must wait",
        lambda: _refused(cast.host),
        lambda out: "etcd" in out,
    )
    etcd.start()


def _second(cast: Cast, *words: str) -> str:
    """What netyard says on host two."""
    command = own_command("--root", "/run/second", *words)
    done = shim.run_in_namespace(cast.host.layout, cast.neighbour, command)
    return (done.stdout + done.stderr).strip()


def _as_client(cast: Cast, code: str, *arguments: str) -> str:
    return _second(cast, "exec", "client", *python_command("-c", code), *arguments)


def _join(cast: Cast) -> str:
    cast.host.members.join(etcd=_ETCD, advertise=str(HOST), name="one")
    _second(cast, *f"host join --etcd {_ETCD} --advertise {NEIGHBOUR} --name two".split())
    return _second(cast, "host", "ls")


def _create(cast: Cast, *, is_encrypted: bool) -> str:
    options = {"encrypted": "true"} if is_encrypted else {}
    Network.create("shared", driver="overlay", options=options, host=cast.host)

    def listed() -> str:
        return _second(cast, *"network ls --filter driver=overlay".split())

    wait_for(lambda: "shared" in listed())
    return listed()


def _move(cast: Cast) -> str:
    before = cast.address("web", "shared")
    Container.get("web", host=cast.host).remove(force=True)
    started = time.perf_counter()
    _second(cast, "run", "-d", "--name", "web", "--network", "shared", "sleep", "600")
    look = "import socket; print(socket.gethostbyname('web'))"
    wait_for(lambda: cast.inside("db", look) not in ("", before) and "." in cast.inside("db", look))
    seconds = time.perf_counter() - started
    return f"{cast.inside('db', PING, 'web')}\nresolves anew after {seconds * 1000:.0f} ms"


def _refused(host: Host) -> str:
    try:
        Container.run("true", name="late", network="shared", host=host)
    except NetyardError as error:
        return str(error)
    return "it started"


def _remove_all(cast: Cast) -> str:
    host = cast.host
    for each in Container.list(host=host, all=True):
        each.remove(force=True)
    _second(cast, "rm", "-f", "client", "web")
    # Host two makes its part known when it finds etcd again, a second later at most.
    wait_for(lambda: _is_removed(host))
    links = "import socket; print(*[n for _, n in socket.if_nameindex()])"

    def left() -> str:
        return f"{cast.here(links)} | {cast.outside(links)}"

    wait_for(lambda: left() == "lo eth0 | lo eth0")
    return left()


def _is_removed(host: Host) -> bool:
    try:
        Network.get("shared", host=host).remove()
    except NetyardError:
        return False
    return True


class _Etcd:
    """An etcd that can be stopped, and started on what it had."""

    def __enter__(self) -> _Etcd:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["etcd", "--data-dir", _DATA, "--log-level", "error"]
        words += ["--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD]
        words += ["--listen-peer-urls", "http://127.0.0.1:2380"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(words, stdout=quiet, stderr=quiet)
        wait_for(_answers)

    def stop(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


def _answers() -> bool:
    try:
        socket.create_connection((str(HOST), 2379), 1).close()
    except OSError:
        return False
    return True
