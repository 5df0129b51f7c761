"""A program of a user's that names every public name: checked by `mypy --strict`, never run.

See `test_typing`. It is written as one who only reads the documentation would write it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import netyard
from netyard import (
    AddressInUse,
    AdoptSettings,
    AgentError,
    ClusterError,
    Conflict,
    Container,
    ContainerSettings,
    DriverError,
    Endpoint,
    Event,
    EventStream,
    Execution,
    Exhausted,
    Forbidden,
    Host,
    Invalid,
    KernelError,
    LogRecord,
    Member,
    NameInUse,
    Network,
    NetworkRequest,
    NetworkSettings,
    NetyardError,
    NotFound,
    Output,
    PermissionDenied,
    PortInUse,
    Several,
    StartFailed,
    StateError,
    StoreError,
    SubnetOverlap,
    TimedOut,
    Unsupported,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


def networks(host: Host) -> Network:
    """Made in every way there is."""
    given: NetworkSettings = {"subnet": IPv4Network("172.28.0.0/16"), "options": {"mtu": 1400}}
    made: Network = Network.create("front", host=host, **given)
    host.networks.create(
        "back",
        driver="bridge",
        subnet=["172.29.0.0/16", "fd00::/64"],
        gateway=IPv4Address("172.29.0.1"),
        ip_range="172.29.5.0/24",
        aux_addresses={"printer": IPv4Address("172.29.5.9")},
        ipv4=True,
        ipv6=True,
        internal=True,
        labels={"tier": "db"},
        options={"com.docker.network.bridge.enable_icc": False},
    )
    found: list[Network] = Network.list(filters="driver=bridge", host=host)
    assert made in host.networks.list(filters=["name=front"]) and set(found)
    assert Network.get("front", host=host) == host.networks.get(made.id)
    kept = Network.create("kept", config_only=True, subnet=ip_network("172.30.0.0/16"), host=host)
    Network.create("from-kept", config_from=kept, gateway=[ip_address("172.30.0.1")], host=host)
    names: tuple[str, ...] = (made.id, made.name, made.driver, made.parent, *made.warnings())
    print(names, made.inspect(verbose=True)["Name"], host.networks.prune(filters="until=24h"))
    with Network.create("short-lived") as net:
        owner: Host = net.host
        return owner.networks.get(net.name)


def started(*command: str, **settings: Unpack[ContainerSettings]) -> Container:
    """A function that hands keywords on."""
    return Container.run("nice", *command, **settings)


def containers(host: Host, net: Network) -> Container:
    """Made in every way there is."""
    web = Container.run(
        Path("/usr/bin/python3"),
        "-m",
        "http.server",
        name="web",
        network=[net, NetworkRequest("back", ip=IPv4Address("172.29.0.9"), aliases="www")],
        publish="8080:8000",
        dns=IPv4Address("192.0.2.53"),
        environment={"PORT": 8000, "HOME": Path("/root")},
        workdir=Path("/srv"),
        user=1000,
        sysctls={"net.ipv4.ip_forward": 1, "net.ipv4.tcp_syncookies": True},
        cap_add="NET_ADMIN",
        labels={"tier": "web"},
        host=host,
    )
    box: Container = host.containers.create("sleep", "600", network=net, ip6="fd00::9")
    host.containers.run(Path("/bin/true"), auto_remove=True)
    beside = NetworkRequest(
        net,
        ip=ip_address("172.28.0.10"),
        link_local_ips=[ip_address("169.254.9.9"), "fe80::9"],
        driver_opts={"com.docker.network.endpoint.ifname": "lan", "org.example.x": 1},
        links=[box, "web:www"],
    )
    Container.run("true", network=[beside], host=web.host)
    Container.run("true", network=web, links=box, ip=ip_address("172.28.0.11"))
    started("true", network="none")
    place: AdoptSettings = {"netns": Path("/run/netns/lab"), "network": net}
    lab = host.containers.adopt("lab", **place)
    Container.adopt("other", pid=1234, network="back", publish=["80:80"], host=host).abandon()
    assert lab != box and box in {web, box, Container.get("web"), host.containers.get(lab.id)}
    every: list[Container] = host.containers.list(all=True, filters="label=tier=web")
    print(every, Container.list(filters=["status=exited", "network=front"]))
    return web


def connections(net: Network, web: Container) -> None:
    """What connect gives, and what endpoints say."""
    made: Endpoint = net.connect(web, aliases="db", ip=IPv4Address("172.28.0.20"), gw_priority=5)
    four: IPv4Address | None = made.ip
    six: IPv6Address | None = made.ip6
    net.connect("box", link_local_ips=["169.254.9.9"], links="web:www", ip=four, ip6=six)
    net.connect("box", ip=ip_address("172.28.0.21"), ip6=ip_address("fd00::2"), links=[web])
    print(made.network, made.container, made.ifname, made.host_ifname, made.mac, made.aliases)
    print(made.link_local_ips, made.gw_priority, dict(made.options), made.is_up, made.id)
    assert made in net.endpoints() and made in set(web.endpoints())
    net.disconnect(web, force=True)


def life(web: Container) -> int:
    """Started, looked at, ended."""
    web.start()
    print(web.id, web.name, web.status, web.pid, web.namespace, web.ports(), web.unpublished())
    print(web.add_ports("8443:443"), web.processes()[0]["CMD"], web.inspect()["Name"])
    web.remove_ports("8443:443")
    web.rename("old-web")
    web.kill("HUP")
    web.kill(15)
    web.stop(timeout=0.5)
    web.remove(force=True)
    return web.wait(timeout=10)


def commands(web: Container) -> bytes:
    """Further commands, fed and read."""
    done: subprocess.CompletedProcess[bytes] = web.exec(
        Path("/usr/bin/sort"), "-r", input=b"a\nb\n", timeout=5, workdir=Path("/"), user="nobody"
    )
    web.exec("cat", input=bytearray(b"a"))
    web.exec("cat", input=memoryview(b"a"))
    with web.popen("cat", environment={"N": 1}) as cat:
        running: Execution = cat
        running.stdin.write(done.stdout)
        running.stdin.write(bytearray(done.stdout))
        running.stdin.write(memoryview(done.stdout))
        running.stdin.close()
        chunks: list[Output] = list(running)
        status: int | None = running.returncode
        assert status is None or running.wait(timeout=1) == status
        running.kill("TERM")
    return b"".join(each.data for each in chunks if each.stream == "stdout")


def lines(web: Container) -> Iterator[LogRecord]:
    """What was written when."""
    yield from web.logs(since=datetime.now(timezone.utc) - timedelta(hours=1), tail=10)
    yield from web.logs(since=1700000000, until="10m")
    for record in web.logs(follow=True, until=1700000000.5):
        print(record.time, record.stream, record.data.decode())


def happenings(host: Host) -> list[Event]:
    """What has happened, and what does."""
    with host.events(filters="container=web") as stream:
        followed: EventStream = stream
        followed.close()
    for event in host.events(filters=["type=container", "event=die"], until="2026-11-25T10:00:00Z"):
        print(event.time.isoformat(), event.name, event.id, event.attributes.get("exitCode"))
    return list(host.events(since=datetime(2026, 1, 1), follow=False, filters="type=network"))


def cluster(host: Host) -> list[Member]:
    """Hosts that share networks."""
    own: Member = host.members.join(etcd="http://10.0.0.1:2379", advertise="10.0.0.7")
    assert own.is_self and own == host.members.get(own.name)
    host.members.rotate_key()
    host.members.leave()
    return host.members.list()


def why(error: NetyardError) -> str:
    """Every kind of error."""
    if isinstance(error, Several):
        return "; ".join(why(each) for each in error.errors)
    if isinstance(error, Invalid):
        return f"{error.field}={error.value!r}"
    if isinstance(error, NameInUse | AddressInUse | PortInUse | SubnetOverlap | Conflict):
        return error.holder
    if isinstance(error, PermissionDenied | Unsupported | KernelError):
        return f"{error.errno} {error.operation} {error.subject}"
    if isinstance(error, StartFailed):
        return str(error.exit_code)
    if isinstance(error, NotFound | Forbidden | Exhausted | TimedOut):
        return error.kind
    if isinstance(error, DriverError):
        return f"{error.driver} {error.package}"
    if isinstance(error, StoreError | AgentError | ClusterError | StateError):
        return error.hint or str(error)
    return str(error)


def main() -> None:
    """All of it."""
    print(netyard.__version__)
    with Host(root=Path("/tmp/lab")) as host:
        net = networks(host)
        web = containers(host, net)
        with host.batch():
            connections(net, web)
        try:
            life(web)
        except (TimeoutError, NetyardError) as error:
            print(why(error) if isinstance(error, NetyardError) else error)
        print(commands(web), list(lines(web)), happenings(host), cluster(host))


if __name__ == "__main__":
    main()
